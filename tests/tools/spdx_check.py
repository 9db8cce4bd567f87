#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Judges a bill of materials by SPDX 2.3 in its JSON form, and knows nothing of how ours are written.

    spdx_check.py FILE...

Prints a line for every rule that is broken and ends with 1 then. Rules are those of the specification for documents
(clause 6), packages (7), files (8), licences of one's own (10), relationships (11), annotations (12) and licence
expressions (annex D), and members and words that the JSON form has. Not judged: snippets, which are refused as unknown,
and whether a licence is on the SPDX list.
"""
import datetime
import json
import re
import sys

ID = r"[A-Za-z0-9.\-]+"
ELEMENT = re.compile(r"SPDXRef-" + ID)
DOCUMENT = re.compile(r"DocumentRef-[A-Za-z0-9.+\-]+")
# RFC 3986: a scheme, and characters that a URI may have.
URI = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:(?:[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=]|%[0-9A-Fa-f]{2})+")
AGENT = re.compile(r"(Person|Organization|Tool): (\S.*)")
PURL = re.compile(r"pkg:[a-z][a-z0-9.\-]*(?:/[^/?#@\s]+)*/[^/?#@\s]+(?:@[^?#@\s]+)?(?:\?[a-z][a-z0-9._\-]*=[^&#\s]+"
                  r"(?:&[a-z][a-z0-9._\-]*=[^&#\s]+)*)?(?:#[^\s]+)?")
HEX_DIGITS = {"ADLER32": 8, "MD2": 32, "MD4": 32, "MD5": 32, "MD6": None, "SHA1": 40, "SHA224": 56, "SHA256": 64, "SHA384": 96,
              "SHA512": 128, "SHA3-256": 64, "SHA3-384": 96, "SHA3-512": 128, "BLAKE2b-256": 64, "BLAKE2b-384": 96,
              "BLAKE2b-512": 128, "BLAKE3": None}
PURPOSES = set("APPLICATION ARCHIVE CONTAINER DEVICE FILE FIRMWARE FRAMEWORK INSTALL LIBRARY OPERATING_SYSTEM OTHER SOURCE".split())
FILE_TYPES = set("APPLICATION ARCHIVE AUDIO BINARY DOCUMENTATION IMAGE OTHER SOURCE SPDX TEXT VIDEO".split())
REFERENCES = {"SECURITY": {"cpe22Type", "cpe23Type", "advisory", "fix", "url", "swid"},
              "PACKAGE-MANAGER": {"maven-central", "npm", "nuget", "bower", "purl"},
              "PERSISTENT-ID": {"swh", "gitoid"}, "OTHER": None}
RELATIONSHIPS = set("""AMENDS ANCESTOR_OF BUILD_DEPENDENCY_OF BUILD_TOOL_OF CONTAINED_BY CONTAINS COPY_OF DATA_FILE_OF
    DEPENDENCY_MANIFEST_OF DEPENDENCY_OF DEPENDS_ON DESCENDANT_OF DESCRIBED_BY DESCRIBES DEV_DEPENDENCY_OF DEV_TOOL_OF
    DISTRIBUTION_ARTIFACT DOCUMENTATION_OF DYNAMIC_LINK EXAMPLE_OF EXPANDED_FROM_ARCHIVE FILE_ADDED FILE_DELETED FILE_MODIFIED
    GENERATED_FROM GENERATES HAS_PREREQUISITE METAFILE_OF OPTIONAL_COMPONENT_OF OPTIONAL_DEPENDENCY_OF OTHER PACKAGE_OF
    PATCH_APPLIED PATCH_FOR PREREQUISITE_FOR PROVIDED_DEPENDENCY_OF REQUIREMENT_DESCRIPTION_FOR RUNTIME_DEPENDENCY_OF
    SPECIFICATION_FOR STATIC_LINK TEST_CASE_OF TEST_DEPENDENCY_OF TEST_OF TEST_TOOL_OF VARIANT_OF""".split())

# Members by kind of object; '!' must be there.
MEMBERS = {
    "document": "spdxVersion! dataLicense! SPDXID! name! documentNamespace! creationInfo! externalDocumentRefs comment "
                "hasExtractedLicensingInfos annotations documentDescribes packages files relationships",
    "creationInfo": "created! creators! licenseListVersion comment",
    "externalDocumentRef": "externalDocumentId! spdxDocument! checksum!",
    "checksum": "algorithm! checksumValue!",
    "package": "SPDXID! name! downloadLocation! versionInfo packageFileName supplier originator filesAnalyzed "
               "packageVerificationCode checksums homepage sourceInfo licenseConcluded licenseInfoFromFiles licenseDeclared "
               "licenseComments copyrightText summary description comment externalRefs attributionTexts annotations hasFiles "
               "primaryPackagePurpose releaseDate builtDate validUntilDate",
    "verification code": "packageVerificationCodeValue! packageVerificationCodeExcludedFiles",
    "externalRef": "referenceCategory! referenceType! referenceLocator! comment",
    "file": "SPDXID! fileName! checksums! fileTypes licenseConcluded licenseInfoInFiles licenseComments copyrightText comment "
            "noticeText fileContributors attributionTexts annotations",
    "licence": "licenseId! extractedText! name seeAlsos comment crossRefs",
    "relationship": "spdxElementId! relationshipType! relatedSpdxElement! comment",
    "annotation": "annotationDate! annotationType! annotator! comment!",
}
# Members that are no texts.
LISTS = set("creators externalDocumentRefs hasExtractedLicensingInfos annotations documentDescribes packages files relationships "
            "checksums externalRefs attributionTexts hasFiles licenseInfoFromFiles licenseInfoInFiles fileTypes seeAlsos crossRefs "
            "fileContributors packageVerificationCodeExcludedFiles".split())
OBJECTS = {"creationInfo", "checksum", "packageVerificationCode"}
TEXT_LISTS = set("creators documentDescribes attributionTexts hasFiles licenseInfoFromFiles licenseInfoInFiles fileTypes seeAlsos "
                 "fileContributors packageVerificationCodeExcludedFiles".split())


class Judge:
    """Collects what is wrong with a document."""

    def __init__(self):
        self.faults = []
        self.elements = set()
        self.documents = set()
        self.licences = set()

    def fault(self, where, what):
        self.faults.append("%s: %s" % (where, what))

    def match(self, where, pattern, value, what):
        if not pattern.fullmatch(value):
            self.fault(where, "%r is not %s" % (value, what))
            return False
        return True

    # ---- shapes ----

    def _fits(self, name, value):
        if name in LISTS:
            inner = str if name in TEXT_LISTS else dict
            return isinstance(value, list) and all(isinstance(item, inner) for item in value)
        if name in OBJECTS:
            return isinstance(value, dict)
        if name == "filesAnalyzed":
            return isinstance(value, bool)
        return isinstance(value, str)

    def shape(self, where, kind, value):
        """Whether members are known, of the right type, and there if they must be."""
        good = True
        members = MEMBERS[kind].split()
        for name in members:
            if name.endswith("!") and name[:-1] not in value:
                self.fault(where, "%s is missing" % name[:-1])
                good = False
        known = {name.rstrip("!") for name in members}
        for name, inner in value.items():
            if name not in known:
                self.fault(where, "SPDX knows no member %s of a %s" % (name, kind))
            elif not self._fits(name, inner):
                self.fault(where, "%s is of the wrong type" % name)
                good = False
        return good

    # ---- values ----

    def date(self, where, value):
        try:
            if not re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", value, re.ASCII):
                raise ValueError
            datetime.datetime.strptime(value, "%Y-%m-%dT%H:%M:%SZ")
        except ValueError:
            self.fault(where, "%r is not a time such as 2010-01-29T18:30:22Z" % value)

    def line(self, where, value):
        if not value.strip() or "\n" in value or "\r" in value:
            self.fault(where, "%r is not a line of text" % value)

    def agent(self, where, value, kinds, nobody=False):
        found = AGENT.fullmatch(value)
        if nobody and value == "NOASSERTION":
            return
        if not found or found[1] not in kinds:
            self.fault(where, "%r is not %s and a name" % (value, " or ".join(kinds)))

    def checksum(self, where, value):
        if not self.shape(where, "checksum", value):
            return
        algorithm, digits = value["algorithm"], value["checksumValue"]
        if algorithm not in HEX_DIGITS:
            self.fault(where, "SPDX knows no algorithm %r" % algorithm)
        elif not re.fullmatch("[0-9a-f]+", digits) or len(digits) != (HEX_DIGITS[algorithm] or len(digits)):
            self.fault(where, "%r is not a %s in lower-case hexadecimal" % (digits, algorithm))

    def checksums(self, where, values):
        for value in values:
            self.checksum(where, value)
        algorithms = [value.get("algorithm") for value in values]
        if len(set(algorithms)) != len(algorithms):
            self.fault(where, "an algorithm is there twice")

    def location(self, where, value):
        if value in ("NONE", "NOASSERTION"):
            return
        self.match(where, URI, value, "a URI, NONE or NOASSERTION")

    # ---- licence expressions, annex D ----

    def expression(self, where, text, plain=("NONE", "NOASSERTION")):
        if text in plain:
            return
        tokens = re.findall(r"\(|\)|[^\s()]+", text)
        try:
            rest = self._compound(where, tokens)
            if rest:
                raise ValueError("%r is too much" % rest[0])
        except ValueError as error:
            self.fault(where, "%r is no licence expression: %s" % (text, error))

    def _compound(self, where, tokens):
        """Takes an expression off; returns what is left. AND binds more than OR, which matters to nobody here."""
        tokens = self._simple(where, tokens)
        while tokens and tokens[0] in ("AND", "OR", "and", "or"):
            tokens = self._simple(where, tokens[1:])
        return tokens

    def _simple(self, where, tokens):
        if not tokens:
            raise ValueError("it ends early")
        first, tokens = tokens[0], tokens[1:]
        if first == "(":
            tokens = self._compound(where, tokens)
            if not tokens or tokens[0] != ")":
                raise ValueError("a bracket is not closed")
            return tokens[1:]
        own = re.fullmatch(r"(?:(DocumentRef-[A-Za-z0-9.+\-]+):)?(LicenseRef-%s)" % ID, first)
        if own and own[1] and own[1] not in self.documents:
            raise ValueError("there is no external document %s" % own[1])
        if own and not own[1] and own[2] not in self.licences:
            raise ValueError("the document does not say what %s is" % own[2])
        if not own and (not re.fullmatch(ID + r"\+?", first) or first.upper() in ("AND", "OR", "WITH", "NONE", "NOASSERTION")):
            raise ValueError("%r is no licence" % first)
        if tokens and tokens[0] in ("WITH", "with"):
            if own or len(tokens) < 2 or not re.fullmatch(ID, tokens[1]):
                raise ValueError("WITH is not followed by an exception, or does not follow a licence of the list")
            tokens = tokens[2:]
        return tokens

    def licences_of(self, where, value):
        for name in ("licenseConcluded", "licenseDeclared"):
            if name in value:
                self.expression(where + " " + name, value[name])
        for name in ("licenseInfoFromFiles", "licenseInfoInFiles"):
            for text in value.get(name, []):
                self.expression(where + " " + name, text)

    # ---- elements ----

    def name_element(self, where, value):
        """SPDXID: of the right form, and once in the document."""
        name = value.get("SPDXID")
        if not isinstance(name, str) or not self.match(where, ELEMENT, name, "SPDXRef- and letters, digits, '.', '-'"):
            return
        if name in self.elements:
            self.fault(where, "%s is there twice" % name)
        self.elements.add(name)

    def document(self, document):
        if not isinstance(document, dict):
            self.fault("document", "it is no object")
            return
        if not self.shape("document", "document", document):
            return
        for name, value in (("spdxVersion", "SPDX-2.3"), ("dataLicense", "CC0-1.0"), ("SPDXID", "SPDXRef-DOCUMENT")):
            if document[name] != value:
                self.fault("document", "%s is %r and not %s" % (name, document[name], value))
        self.line("document name", document["name"])
        if self.match("documentNamespace", URI, document["documentNamespace"], "a URI") and "#" in document["documentNamespace"]:
            self.fault("documentNamespace", "it has a '#'")
        self.creation(document["creationInfo"])
        self.name_element("document", document)
        for reference in document.get("externalDocumentRefs", []):
            self.external_document(reference)
        for licence in document.get("hasExtractedLicensingInfos", []):
            self.licence(licence)
        packages, files = document.get("packages", []), document.get("files", [])
        for number, value in enumerate(packages):
            self.name_element("package %d" % number, value)
        for number, value in enumerate(files):
            self.name_element("file %d" % number, value)
        for number, value in enumerate(packages):
            self.package("package %d (%s)" % (number, value.get("name")), value, {item.get("SPDXID") for item in files})
        for number, value in enumerate(files):
            self.file("file %d" % number, value)
        self.annotations("document", document)
        self.relationships(document)

    def creation(self, value):
        if not self.shape("creationInfo", "creationInfo", value):
            return
        self.date("created", value["created"])
        if not value["creators"]:
            self.fault("creators", "there is none")
        for creator in value["creators"]:
            self.agent("creators", creator, ("Person", "Organization", "Tool"))
        if "licenseListVersion" in value:
            self.match("licenseListVersion", re.compile(r"\d+\.\d+(?:\.\d+)?"), value["licenseListVersion"], "a version")

    def external_document(self, value):
        if not self.shape("externalDocumentRefs", "externalDocumentRef", value):
            return
        self.match("externalDocumentId", DOCUMENT, value["externalDocumentId"], "DocumentRef- and a name")
        self.match("spdxDocument", URI, value["spdxDocument"], "a URI")
        self.checksum("externalDocumentRefs", value["checksum"])
        self.documents.add(value["externalDocumentId"])

    def licence(self, value):
        if not self.shape("hasExtractedLicensingInfos", "licence", value):
            return
        self.match("licenseId", re.compile("LicenseRef-" + ID), value["licenseId"], "LicenseRef- and a name")
        if value["licenseId"] in self.licences:
            self.fault("licenseId", "%s is there twice" % value["licenseId"])
        self.licences.add(value["licenseId"])

    def package(self, where, value, files):
        if not self.shape(where, "package", value):
            return
        self.line(where + " name", value["name"])
        self.location(where + " downloadLocation", value["downloadLocation"])
        if "homepage" in value:
            self.location(where + " homepage", value["homepage"])
        for name in ("supplier", "originator"):
            if name in value:
                self.agent(where + " " + name, value[name], ("Person", "Organization"), nobody=True)
        for name in ("releaseDate", "builtDate", "validUntilDate"):
            if name in value:
                self.date(where + " " + name, value[name])
        if value.get("primaryPackagePurpose", "OTHER") not in PURPOSES:
            self.fault(where, "SPDX knows no purpose %r" % value["primaryPackagePurpose"])
        self.checksums(where, value.get("checksums", []))
        self.analysis(where, value, files)
        self.licences_of(where, value)
        for reference in value.get("externalRefs", []):
            self.reference(where + " externalRefs", reference)
        self.annotations(where, value)

    def analysis(self, where, value, files):
        code = value.get("packageVerificationCode")
        if not value.get("filesAnalyzed", True):
            for name in ("packageVerificationCode", "licenseInfoFromFiles", "hasFiles"):
                if value.get(name):
                    self.fault(where, "%s, although files were not analysed" % name)
        elif code is None:
            self.fault(where, "no packageVerificationCode, although files were analysed")
        elif self.shape(where, "verification code", code):
            self.match(where, re.compile("[0-9a-f]{40}"), code["packageVerificationCodeValue"], "a SHA1")
        for name in value.get("hasFiles", []):
            if name not in files:
                self.fault(where, "there is no file %s" % name)

    def reference(self, where, value):
        if not self.shape(where, "externalRef", value):
            return
        category, kind, locator = (value["reference" + name] for name in ("Category", "Type", "Locator"))
        if category not in REFERENCES:
            self.fault(where, "SPDX knows no category %r" % category)
        elif REFERENCES[category] is not None and kind not in REFERENCES[category]:
            self.fault(where, "SPDX knows no type %r in %s" % (kind, category))
        if not locator or re.search(r"\s", locator):
            self.fault(where, "%r has spaces, or is empty" % locator)
        if kind == "purl":
            self.match(where, PURL, locator, "a package URL")

    def file(self, where, value):
        if not self.shape(where, "file", value):
            return
        self.line(where + " fileName", value["fileName"])
        self.checksums(where, value["checksums"])
        if "SHA1" not in [item.get("algorithm") for item in value["checksums"]]:
            self.fault(where, "no SHA1 among its checksums")
        for kind in value.get("fileTypes", []):
            if kind not in FILE_TYPES:
                self.fault(where, "SPDX knows no type of files %r" % kind)
        self.licences_of(where, value)
        self.annotations(where, value)

    def annotations(self, where, value):
        for annotation in value.get("annotations", []):
            if not self.shape(where + " annotations", "annotation", annotation):
                continue
            self.date(where + " annotationDate", annotation["annotationDate"])
            self.agent(where + " annotator", annotation["annotator"], ("Person", "Organization", "Tool"))
            if annotation["annotationType"] not in ("REVIEW", "OTHER"):
                self.fault(where, "SPDX knows no annotation %r" % annotation["annotationType"])

    # ---- relationships ----

    def target(self, where, name, nothing=False):
        document, colon, element = name.partition(":")
        if nothing and name in ("NONE", "NOASSERTION"):
            return
        if colon:
            if document not in self.documents or not ELEMENT.fullmatch(element):
                self.fault(where, "there is no external document of %r" % name)
        elif name not in self.elements:
            self.fault(where, "there is no element %r" % name)

    def relationships(self, document):
        described = list(document.get("documentDescribes", []))
        for name in described:
            self.target("documentDescribes", name)
        for number, value in enumerate(document.get("relationships", [])):
            where = "relationship %d" % number
            if not self.shape(where, "relationship", value):
                continue
            self.target(where, value["spdxElementId"])
            self.target(where, value["relatedSpdxElement"], nothing=True)
            if value["relationshipType"] not in RELATIONSHIPS:
                self.fault(where, "SPDX knows no relationship %r" % value["relationshipType"])
            ends = [value["spdxElementId"], value["relatedSpdxElement"]]
            if value["relationshipType"] == "DESCRIBED_BY":
                ends.reverse()
            if value["relationshipType"] in ("DESCRIBES", "DESCRIBED_BY") and ends[0] == "SPDXRef-DOCUMENT":
                described.append(ends[1])
        if not described:
            self.fault("document", "it does not say what it describes")


def _no_duplicates(pairs):
    names = [name for name, _ in pairs]
    if len(set(names)) != len(names):
        raise ValueError("a member is there twice: %s" % ", ".join(sorted({name for name in names if names.count(name) > 1})))
    return dict(pairs)


def check(text):
    """The rules that a document (bytes) breaks, as sentences."""
    judge = Judge()
    try:
        document = json.loads(text.decode("utf-8"), object_pairs_hook=_no_duplicates)
    except ValueError as error:
        return ["document: it is not JSON in UTF-8: %s" % error]
    judge.document(document)
    return judge.faults


def main(paths):
    faults = 0
    for path in paths:
        with open(path, "rb") as file:
            for fault in check(file.read()):
                print("%s: %s" % (path, fault))
                faults += 1
    return 1 if faults else 0


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit("usage: spdx_check.py FILE...")
    sys.exit(main(sys.argv[1:]))
