/* SPDX-License-Identifier: Apache-2.0 */
#include "disk-format.h"
#include "disk-source.h"
#include "disk-vmdk.h"
#include "file.h"
#include "hex.h"
#include "tar-header.h"

#include <string.h>

/* An Open Virtualization Format package (DSP0243): an archive of a description, the hashes of the other
 * members, and the disk. The disk is written first, behind the room for the two others, whose lengths are
 * fixed. */

#define DESCRIPTION_SIZE (8 * KIB)
#define HASHES_SIZE TAR_BLOCK_SIZE
#define DESCRIPTION_AT TAR_BLOCK_SIZE
#define HASHES_AT (DESCRIPTION_AT + DESCRIPTION_SIZE + TAR_BLOCK_SIZE)
#define DISK_AT (HASHES_AT + HASHES_SIZE + TAR_BLOCK_SIZE)

#define DESCRIPTION_NAME "disk.ovf"
#define HASHES_NAME "disk.mf"

static const char description[] =
                "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
                "<Envelope xmlns=\"http://schemas.dmtf.org/ovf/envelope/1\"\n"
                "    xmlns:ovf=\"http://schemas.dmtf.org/ovf/envelope/1\"\n"
                "    "
                "xmlns:rasd=\"http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/"
                "CIM_ResourceAllocationSettingData\"\n"
                "    "
                "xmlns:vssd=\"http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/"
                "CIM_VirtualSystemSettingData\"\n"
                "    xmlns:vmw=\"http://www.vmware.com/schema/ovf\">\n"
                "  <References>\n"
                "    <File ovf:id=\"file1\" ovf:href=\"" DISK_VMDK_FILE "\" ovf:size=\"%llu\"/>\n"
                "  </References>\n"
                "  <DiskSection>\n"
                "    <Info>Disks</Info>\n"
                "    <Disk ovf:diskId=\"disk1\" ovf:fileRef=\"file1\" ovf:capacity=\"%llu\"\n"
                "        "
                "ovf:format=\"http://www.vmware.com/interfaces/specifications/vmdk.html#streamOptimized\"/"
                ">\n"
                "  </DiskSection>\n"
                "  <NetworkSection>\n"
                "    <Info>Networks</Info>\n"
                "    <Network ovf:name=\"network\"><Description>The network of the "
                "machine</Description></Network>\n"
                "  </NetworkSection>\n"
                "  <VirtualSystem ovf:id=\"%s\">\n"
                "    <Info>A host</Info>\n"
                "    <Name>%s</Name>\n"
                "    <ProductSection>\n"
                "      <Info>What is in it</Info>\n"
                "      <Product>%s</Product>\n"
                "      <Version>%s</Version>\n"
                "    </ProductSection>\n"
                "    <OperatingSystemSection ovf:id=\"96\" vmw:osType=\"debian12_64Guest\">\n"
                "      <Info>Debian, 64 bits</Info>\n"
                "    </OperatingSystemSection>\n"
                "    <VirtualHardwareSection>\n"
                "      <Info>2 processors, 2 GiB, UEFI</Info>\n"
                "      <System>\n"
                "        <vssd:ElementName>Virtual hardware</vssd:ElementName>\n"
                "        <vssd:InstanceID>0</vssd:InstanceID>\n"
                "        <vssd:VirtualSystemType>vmx-13</vssd:VirtualSystemType>\n"
                "      </System>\n"
                "%s"
                "      <vmw:Config ovf:required=\"false\" vmw:key=\"firmware\" vmw:value=\"efi\"/>\n"
                "    </VirtualHardwareSection>\n"
                "  </VirtualSystem>\n"
                "</Envelope>\n";

/* Elements of an item are in the order of their names, as the schema has them. */
static const char hardware[] = "      <Item>\n"
                               "        <rasd:AllocationUnits>hertz * 10^6</rasd:AllocationUnits>\n"
                               "        <rasd:ElementName>Processors</rasd:ElementName>\n"
                               "        <rasd:InstanceID>1</rasd:InstanceID>\n"
                               "        <rasd:ResourceType>3</rasd:ResourceType>\n"
                               "        <rasd:VirtualQuantity>2</rasd:VirtualQuantity>\n"
                               "      </Item>\n"
                               "      <Item>\n"
                               "        <rasd:AllocationUnits>byte * 2^20</rasd:AllocationUnits>\n"
                               "        <rasd:ElementName>Memory</rasd:ElementName>\n"
                               "        <rasd:InstanceID>2</rasd:InstanceID>\n"
                               "        <rasd:ResourceType>4</rasd:ResourceType>\n"
                               "        <rasd:VirtualQuantity>2048</rasd:VirtualQuantity>\n"
                               "      </Item>\n"
                               "      <Item>\n"
                               "        <rasd:Address>0</rasd:Address>\n"
                               "        <rasd:ElementName>SATA controller</rasd:ElementName>\n"
                               "        <rasd:InstanceID>3</rasd:InstanceID>\n"
                               "        <rasd:ResourceSubType>AHCI</rasd:ResourceSubType>\n"
                               "        <rasd:ResourceType>20</rasd:ResourceType>\n"
                               "      </Item>\n"
                               "      <Item>\n"
                               "        <rasd:AddressOnParent>0</rasd:AddressOnParent>\n"
                               "        <rasd:ElementName>Disk</rasd:ElementName>\n"
                               "        <rasd:HostResource>ovf:/disk/disk1</rasd:HostResource>\n"
                               "        <rasd:InstanceID>4</rasd:InstanceID>\n"
                               "        <rasd:Parent>3</rasd:Parent>\n"
                               "        <rasd:ResourceType>17</rasd:ResourceType>\n"
                               "      </Item>\n"
                               "      <Item>\n"
                               "        <rasd:AddressOnParent>7</rasd:AddressOnParent>\n"
                               "        <rasd:AutomaticAllocation>true</rasd:AutomaticAllocation>\n"
                               "        <rasd:Connection>network</rasd:Connection>\n"
                               "        <rasd:ElementName>Network card</rasd:ElementName>\n"
                               "        <rasd:InstanceID>5</rasd:InstanceID>\n"
                               "        <rasd:ResourceSubType>E1000</rasd:ResourceSubType>\n"
                               "        <rasd:ResourceType>10</rasd:ResourceType>\n"
                               "      </Item>\n";

/* Newlines after the document fill the room. */
static int make_description(
                const DiskSource *source, uint64_t vmdk_bytes, char ret[static DESCRIPTION_SIZE + 1])
{
        int length;

        memset(ret, '\n', DESCRIPTION_SIZE);
        length = snprintf(ret, DESCRIPTION_SIZE, description, (unsigned long long)vmdk_bytes,
                        (unsigned long long)source->size_bytes, source->name, source->name, source->name,
                        source->version, hardware);
        if (length < 0 || (size_t)length >= DESCRIPTION_SIZE)
                return -E2BIG;
        ret[length] = '\n'; /* snprintf()'s NUL */
        return 0;
}

static int put_member(const DiskSource *source, int fd, const char *name, uint64_t at, uint64_t size)
{
        TarHeader header = {
                .name = name, .type = TAR_TYPE_FILE, .mode = 0644, .size_bytes = size, .mtime = source->epoch
        };
        uint8_t block[TAR_BLOCK_SIZE];
        int r = tar_header_fill(&header, block);

        if (r < 0)
                return r;
        tar_header_seal(block);
        return pwrite_full(fd, block, sizeof(block), at - TAR_BLOCK_SIZE);
}

static int put_hashes(const DiskSource *source, int fd, const char *text, uint64_t vmdk_bytes)
{
        char hashes[HASHES_SIZE + 1] = "", of_disk[SHA256_HEX_SIZE], of_text[SHA256_HEX_SIZE];
        uint8_t hash[SHA256_SIZE];
        int length, r = sha256_of_fd(fd, DISK_AT, vmdk_bytes, hash);

        if (r < 0)
                return r;
        hex_encode(hash, sizeof(hash), of_disk);
        sha256_hex_of(text, DESCRIPTION_SIZE, of_text);
        length = snprintf(hashes, sizeof(hashes), "SHA256(%s)= %s\nSHA256(%s)= %s\n", DESCRIPTION_NAME,
                        of_text, DISK_VMDK_FILE, of_disk);
        r = pwrite_full(fd, hashes, HASHES_SIZE, HASHES_AT);
        return r < 0 ? r : put_member(source, fd, HASHES_NAME, HASHES_AT, (uint64_t)length);
}

static int write_all(const DiskSource *source, int fd, char *text)
{
        uint64_t vmdk_bytes;
        int r = disk_put_vmdk(source, fd, DISK_AT, &vmdk_bytes);

        if (r >= 0)
                r = make_description(source, vmdk_bytes, text);
        if (r >= 0)
                r = pwrite_full(fd, text, DESCRIPTION_SIZE, DESCRIPTION_AT);
        if (r >= 0)
                r = put_member(source, fd, DESCRIPTION_NAME, DESCRIPTION_AT, DESCRIPTION_SIZE);
        if (r >= 0)
                r = put_hashes(source, fd, text, vmdk_bytes);
        if (r >= 0)
                r = put_member(source, fd, DISK_VMDK_FILE, DISK_AT, vmdk_bytes);
        /* The end of an archive: two blocks of zeros, which the hole after the end is read as. */
        if (r >= 0 && ftruncate(fd, (off_t)(DISK_AT + vmdk_bytes + UINT64_C(2) * TAR_BLOCK_SIZE)) < 0)
                r = -errno;
        return r;
}

int disk_write_ova(const DiskSource *source, int fd, Error *error)
{
        _cleanup_free_ char *text = malloc(DESCRIPTION_SIZE + 1);
        int r = text ? write_all(source, fd, text) : -ENOMEM;

        return r < 0 ? disk_write_failed("ova", r, error) : 0;
}
