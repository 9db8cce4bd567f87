#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The judge of bills of materials itself: what it must take, and that it refuses each mistake by its rule."""
import copy
import json
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "tools"))
import spdx_check  # noqa: E402

GOOD = {
    "spdxVersion": "SPDX-2.3", "dataLicense": "CC0-1.0", "SPDXID": "SPDXRef-DOCUMENT", "name": "a thing",
    "documentNamespace": "https://test.example/a/1", "comment": "x",
    "creationInfo": {"created": "2024-02-29T23:59:59Z", "creators": ["Tool: maker-1.0", "Person: A B (a@test.example)"],
                     "licenseListVersion": "3.20"},
    "externalDocumentRefs": [{"externalDocumentId": "DocumentRef-other+1", "spdxDocument": "urn:uuid:0-1",
                              "checksum": {"algorithm": "SHA1", "checksumValue": "0" * 40}}],
    "hasExtractedLicensingInfos": [{"licenseId": "LicenseRef-own", "extractedText": "Do as you like."}],
    "packages": [
        {"SPDXID": "SPDXRef-one", "name": "one", "downloadLocation": "git+https://test.example/one.git@v1", "filesAnalyzed": False,
         "versionInfo": "1", "supplier": "Organization: A", "originator": "NOASSERTION", "homepage": "NONE",
         "licenseConcluded": "(MIT OR GPL-2.0-or-later WITH GCC-exception-3.1) AND LicenseRef-own",
         "licenseDeclared": "DocumentRef-other+1:LicenseRef-theirs", "primaryPackagePurpose": "OPERATING_SYSTEM",
         "checksums": [{"algorithm": "SHA256", "checksumValue": "a" * 64}, {"algorithm": "BLAKE3", "checksumValue": "ab"}],
         "externalRefs": [{"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl",
                           "referenceLocator": "pkg:deb/debian/libstdc%2B%2B6@12-1?arch=amd64&distro=debian-bookworm"},
                          {"referenceCategory": "OTHER", "referenceType": "anything", "referenceLocator": "x"}]},
        {"SPDXID": "SPDXRef-two.2-x", "name": "two", "downloadLocation": "NONE",
         "packageVerificationCode": {"packageVerificationCodeValue": "b" * 40}, "hasFiles": ["SPDXRef-file"],
         "licenseInfoFromFiles": ["MIT"], "builtDate": "2024-01-01T00:00:00Z",
         "annotations": [{"annotationDate": "2024-01-01T00:00:00Z", "annotationType": "REVIEW", "annotator": "Person: A",
                          "comment": "fine"}]}],
    "files": [{"SPDXID": "SPDXRef-file", "fileName": "./a", "checksums": [{"algorithm": "SHA1", "checksumValue": "c" * 40}],
               "fileTypes": ["TEXT"], "licenseInfoInFiles": ["NOASSERTION"]}],
    "relationships": [
        {"spdxElementId": "SPDXRef-DOCUMENT", "relationshipType": "DESCRIBES", "relatedSpdxElement": "SPDXRef-one"},
        {"spdxElementId": "SPDXRef-one", "relationshipType": "DEPENDS_ON", "relatedSpdxElement": "NOASSERTION"},
        {"spdxElementId": "SPDXRef-one", "relationshipType": "OTHER", "relatedSpdxElement": "DocumentRef-other+1:SPDXRef-x"}],
}
GONE = object()

# Where, what is put there, and what the judge must say.
BAD = [
    ("spdxVersion", "SPDX-2.2", "spdxVersion is"), ("spdxVersion", GONE, "spdxVersion is missing"),
    ("dataLicense", "MIT", "dataLicense is"), ("dataLicense", GONE, "dataLicense is missing"),
    ("SPDXID", "SPDXRef-Document", "SPDXID is"), ("name", GONE, "name is missing"), ("name", "", "not a line of text"),
    ("name", 1, "name is of the wrong type"), ("documentNamespace", GONE, "documentNamespace is missing"),
    ("documentNamespace", "no-scheme", "is not a URI"), ("documentNamespace", "https://test.example/a#b", "it has a '#'"),
    ("documentNamespace", "https://test.example/a b", "is not a URI"), ("unknown", "x", "no member unknown"),
    ("snippets", [], "no member snippets"), ("creationInfo", GONE, "creationInfo is missing"),
    ("creationInfo", [], "creationInfo is of the wrong type"), ("creationInfo/created", GONE, "created is missing"),
    ("creationInfo/created", "2023-02-29T00:00:00Z", "is not a time"), ("creationInfo/created", "2024-01-01T24:00:00Z", "is not a time"),
    ("creationInfo/created", "2024-01-01T00:00:00+00:00", "is not a time"), ("creationInfo/created", "2024-1-1T0:0:0Z", "is not a time"),
    ("creationInfo/created", "2024-01-01T00:00:00Z\n", "is not a time"), ("creationInfo/creators", [], "there is none"),
    ("creationInfo/creators", "Tool: a", "creators is of the wrong type"), ("creationInfo/creators", ["maker-1.0"], "is not Person or"),
    ("creationInfo/creators", ["Tool: "], "is not Person or"), ("creationInfo/licenseListVersion", "x", "is not a version"),
    ("externalDocumentRefs/0/externalDocumentId", "other", "is not DocumentRef-"),
    ("externalDocumentRefs/0/checksum", GONE, "checksum is missing"),
    ("externalDocumentRefs/0/spdxDocument", "x", "is not a URI"),
    ("hasExtractedLicensingInfos/0/licenseId", "own", "is not LicenseRef-"),
    ("hasExtractedLicensingInfos/0/extractedText", GONE, "extractedText is missing"),
    ("packages/0/SPDXID", GONE, "SPDXID is missing"), ("packages/0/SPDXID", "one", "is not SPDXRef-"),
    ("packages/0/SPDXID", "SPDXRef-libstdc++", "is not SPDXRef-"), ("packages/0/SPDXID", "SPDXRef-a_b", "is not SPDXRef-"),
    ("packages/0/SPDXID", "SPDXRef-", "is not SPDXRef-"), ("packages/0/SPDXID", "SPDXRef-\u00e4", "is not SPDXRef-"),
    ("packages/0/SPDXID", "SPDXRef-two.2-x", "is there twice"), ("packages/0/SPDXID", "SPDXRef-DOCUMENT", "is there twice"),
    ("packages/0/name", GONE, "name is missing"), ("packages/0/name", "a\nb", "not a line of text"),
    ("packages/0/downloadLocation", GONE, "downloadLocation is missing"),
    ("packages/0/downloadLocation", "nowhere", "is not a URI, NONE"), ("packages/0/downloadLocation", "http://a/%2x", "is not a URI, NONE"),
    ("packages/0/supplier", "A", "is not Person or Organization"), ("packages/0/supplier", "Tool: x", "is not Person or Organization"),
    ("packages/0/originator", "NONE", "is not Person or Organization"), ("packages/0/homepage", "here", "is not a URI"),
    ("packages/0/primaryPackagePurpose", "OPERATING-SYSTEM", "no purpose"), ("packages/0/filesAnalyzed", "false", "of the wrong type"),
    ("packages/0/filesAnalyzed", GONE, "no packageVerificationCode"),
    ("packages/1/filesAnalyzed", False, "packageVerificationCode, although"),
    ("packages/1/packageVerificationCode/packageVerificationCodeValue", "b" * 39, "is not a SHA1"),
    ("packages/1/packageVerificationCode", {}, "packageVerificationCodeValue is missing"),
    ("packages/1/hasFiles", ["SPDXRef-none"], "there is no file"), ("packages/1/builtDate", "yesterday", "is not a time"),
    ("packages/0/checksums/0/algorithm", "sha256", "no algorithm"), ("packages/0/checksums/0/checksumValue", "A" * 64, "in lower-case"),
    ("packages/0/checksums/0/checksumValue", "a" * 63, "in lower-case"), ("packages/0/checksums/0/checksumValue", "g" * 64, "in lower-case"),
    ("packages/0/checksums/0/checksumValue", GONE, "checksumValue is missing"),
    ("packages/0/checksums/1", {"algorithm": "SHA256", "checksumValue": "b" * 64}, "an algorithm is there twice"),
    ("packages/0/licenseConcluded", "", "it ends early"), ("packages/0/licenseConcluded", "MIT AND", "it ends early"),
    ("packages/0/licenseConcluded", "AND MIT", "is no licence"), ("packages/0/licenseConcluded", "MIT Apache-2.0", "is too much"),
    ("packages/0/licenseConcluded", "(MIT", "a bracket is not closed"), ("packages/0/licenseConcluded", "MIT)", "is too much"),
    ("packages/0/licenseConcluded", "GPL_2", "is no licence"), ("packages/0/licenseConcluded", "MIT AND NONE", "is no licence"),
    ("packages/0/licenseConcluded", "MIT WITH", "WITH is not followed"),
    ("packages/0/licenseConcluded", "LicenseRef-own WITH GCC-exception-3.1", "WITH is not followed"),
    ("packages/0/licenseDeclared", "LicenseRef-unknown", "does not say what"),
    ("packages/0/licenseDeclared", "DocumentRef-none:LicenseRef-x", "no external document"),
    ("packages/0/copyrightText", None, "copyrightText is of the wrong type"),
    ("packages/1/licenseInfoFromFiles", ["MIT OR"], "it ends early"),
    ("packages/0/externalRefs/0/referenceCategory", "PACKAGES", "no category"),
    ("packages/0/externalRefs/0/referenceType", "deb", "no type"), ("packages/0/externalRefs/0/referenceLocator", "a b", "has spaces"),
    ("packages/0/externalRefs/0/referenceLocator", "deb/debian/a@1", "is not a package URL"),
    ("packages/0/externalRefs/0/referenceLocator", "pkg:deb/debian/a@1?arch", "is not a package URL"),
    ("packages/0/externalRefs/0/referenceLocator", GONE, "referenceLocator is missing"), ("packages/0/size", "1", "no member size"),
    ("packages/1/annotations/0/annotationType", "PRAISE", "no annotation"), ("packages/1/annotations/0/annotationDate", "x", "is not a time"),
    ("packages/1/annotations/0/annotator", "A", "is not Person or"), ("packages/1/annotations/0/comment", GONE, "comment is missing"),
    ("packages/0", "one", "packages is of the wrong type"), ("packages", {}, "packages is of the wrong type"),
    ("files/0/checksums/0", {"algorithm": "SHA256", "checksumValue": "c" * 64}, "no SHA1"), ("files/0/fileName", GONE, "fileName is missing"),
    ("files/0/fileTypes", ["PAPER"], "no type of files"), ("files/0/SPDXID", "SPDXRef-one", "is there twice"),
    ("relationships/0/relatedSpdxElement", "SPDXRef-none", "there is no element"),
    ("relationships/0/spdxElementId", "NOASSERTION", "there is no element"),
    ("relationships/2/relatedSpdxElement", "DocumentRef-none:SPDXRef-x", "there is no external document"),
    ("relationships/0/relationshipType", "contains", "no relationship"), ("relationships/0/relationshipType", GONE, "relationshipType is missing"),
    ("relationships/0/relationshipType", "CONTAINS", "does not say what it describes"), ("relationships", GONE, "does not say what it describes"),
]


def _changed(path, value):
    document = copy.deepcopy(GOOD)
    place, names = document, [int(name) if name.isdigit() else name for name in path.split("/")]
    for name in names[:-1]:
        place = place[name]
    if value is GONE:
        del place[names[-1]]
    else:
        place[names[-1]] = value
    return json.dumps(document).encode()


def _cases():
    yield "a document with all that SPDX allows is taken", spdx_check.check(json.dumps(GOOD).encode()), None
    described = dict(GOOD, relationships=[], documentDescribes=["SPDXRef-one"])
    yield "one that says otherwise what it describes is taken", spdx_check.check(json.dumps(described).encode()), None
    for path, value, says in BAD:
        yield "%s, %s" % (path, says), spdx_check.check(_changed(path, value)), says
    for text, says in ((b"", "not JSON"), (b"[]", "no object"), (b"\xff{}", "not JSON"), (b'{"name": "a", "name": "b"}', "there twice")):
        yield "%r is refused" % text, spdx_check.check(text), says


def main():
    cases, failed = list(_cases()), False
    print("1..%d" % len(cases))
    for number, (name, faults, says) in enumerate(cases, 1):
        good = any(says in fault for fault in faults) if says else not faults
        failed = failed or not good
        for fault in [] if good else faults or ["nothing was found"]:
            print("# " + fault)
        print("%s %d - %s" % ("ok" if good else "not ok", number, name.replace("#", "hash")))
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
