/// Small valid files of each format, made here.
enum FileSamples {
    static let all: [(name: String, bytes: [UInt8])] = [
        ("a.docx", word), ("a.odt", openDocument), ("a.pptx", slides), ("a.xlsx", sheet),
        ("a.epub", book), ("a.zip", archive), ("a.eml", Array(mail.utf8)),
        ("a.csv", Array(csv.utf8)), ("a.json", Array(json.utf8)),
        ("a.jsonl", Array("{\"a\":1}\n{\"b\":[true,\"x\"]}\n".utf8)),
        ("a.swift", Array(code.utf8)), ("a.html", Array(Samples.page.utf8)),
    ]

    static let word = ZipSample.archive([
        (
            "word/styles.xml",
            """
            <w:styles xmlns:w="w"><w:style w:styleId="berschrift1"><w:name w:val="heading 1"/></w:style>
            <w:style w:styleId="T"><w:name w:val="Title"/></w:style></w:styles>
            """
        ),
        (
            "word/document.xml",
            """
            <?xml version="1.0" encoding="UTF-8"?><w:document xmlns:w="w"><w:body>
            <w:p><w:pPr><w:pStyle w:val="T"/></w:pPr><w:r><w:t>The Plan</w:t></w:r></w:p>
            <w:p><w:pPr><w:pStyle w:val="berschrift1"/></w:pPr><w:r><w:t>Boats &amp; oars</w:t></w:r></w:p>
            <w:p><w:r><w:t>They </w:t></w:r><w:r><w:rPr><w:vanish/></w:rPr><w:t>secretly </w:t></w:r>
            <w:del><w:r><w:delText>never</w:delText></w:r></w:del><w:r><w:t>float.</w:t></w:r></w:p>
            <w:p><w:pPr><w:numPr><w:ilvl w:val="0"/><w:numId w:val="1"/></w:numPr></w:pPr>
            <w:r><w:t>Row</w:t></w:r></w:p>
            <w:p><w:pPr><w:numPr><w:ilvl w:val="1"/><w:numId w:val="1"/></w:numPr></w:pPr>
            <w:r><w:t>Sail</w:t></w:r></w:p>
            <w:tbl><w:tr><w:tc><w:p><w:r><w:t>Dish</w:t></w:r></w:p></w:tc>
            <w:tc><w:p><w:r><w:t>Price</w:t></w:r></w:p></w:tc></w:tr>
            <w:tr><w:tc><w:p><w:r><w:t>Cod</w:t></w:r></w:p></w:tc>
            <w:tc><w:p><w:r><w:t>9</w:t></w:r></w:p></w:tc></w:tr></w:tbl>
            </w:body></w:document>
            """
        ),
    ])

    static let openDocument = ZipSample.archive([
        ("mimetype", "application/vnd.oasis.opendocument.text"),
        (
            "content.xml",
            """
            <office:document-content xmlns:office="o" xmlns:text="t" xmlns:table="b"><office:body>
            <office:text><text:h text:outline-level="2">Boats</text:h>
            <text:p>They<text:s text:c="1"/>float.<office:annotation><text:p>No.</text:p></office:annotation></text:p>
            <text:list><text:list-item><text:p>Row</text:p></text:list-item></text:list>
            <table:table><table:table-row><table:table-cell><text:p>Cod</text:p></table:table-cell>
            <table:table-cell table:number-columns-repeated="999999999"/></table:table-row></table:table>
            </office:text></office:body></office:document-content>
            """
        ),
    ])

    static let slides = ZipSample.archive([
        (
            "ppt/presentation.xml",
            """
            <p:presentation xmlns:p="p" xmlns:r="r"><p:sldIdLst><p:sldId id="256" r:id="rId2"/>
            <p:sldId id="257" r:id="rId1"/></p:sldIdLst></p:presentation>
            """
        ),
        (
            "ppt/_rels/presentation.xml.rels",
            """
            <Relationships><Relationship Id="rId1" Type="x/slide" Target="slides/slide1.xml"/>
            <Relationship Id="rId2" Type="x/slide" Target="/ppt/slides/slide2.xml"/></Relationships>
            """
        ),
        (
            "ppt/slides/slide1.xml",
            """
            <p:sld xmlns:p="p" xmlns:a="a" show="0"><p:sp><a:p><a:r><a:t>Hidden</a:t></a:r></a:p></p:sp></p:sld>
            """
        ),
        (
            "ppt/slides/slide2.xml",
            """
            <p:sld xmlns:p="p" xmlns:a="a"><p:sp><p:ph type="title"/><a:p><a:r><a:t>Boats</a:t></a:r></a:p></p:sp>
            <p:sp><a:p><a:r><a:t>They float.</a:t></a:r></a:p></p:sp>
            <p:sp><p:ph type="sldNum"/><a:p><a:fld><a:t>1</a:t></a:fld></a:p></p:sp></p:sld>
            """
        ),
        (
            "ppt/slides/_rels/slide2.xml.rels",
            """
            <Relationships><Relationship Id="r" Type="x/notesSlide" Target="../notesSlides/notesSlide1.xml"/></Relationships>
            """
        ),
        (
            "ppt/notesSlides/notesSlide1.xml",
            """
            <p:notes xmlns:p="p" xmlns:a="a"><p:sp><a:p><a:r><a:t>Say it slowly.</a:t></a:r></a:p></p:sp></p:notes>
            """
        ),
    ])

    static let sheet = ZipSample.archive([
        (
            "xl/workbook.xml",
            """
            <workbook xmlns:r="r"><sheets><sheet name="Menu" r:id="a"/>
            <sheet name="Secret" state="hidden" r:id="b"/></sheets></workbook>
            """
        ),
        (
            "xl/_rels/workbook.xml.rels",
            """
            <Relationships><Relationship Id="a" Target="worksheets/sheet1.xml"/>
            <Relationship Id="b" Target="worksheets/sheet1.xml"/></Relationships>
            """
        ),
        (
            "xl/sharedStrings.xml",
            "<sst><si><t>Dish</t></si><si><r><t>Co</t></r><r><t>d</t></r></si></sst>"
        ),
        (
            "xl/styles.xml",
            "<styleSheet><cellXfs><xf numFmtId=\"0\"/><xf numFmtId=\"14\"/></cellXfs></styleSheet>"
        ),
        (
            "xl/worksheets/sheet1.xml",
            """
            <worksheet><sheetData><row><c r="A1" t="s"><v>0</v></c><c r="B1" t="inlineStr"><is><t>Price</t></is></c>
            <c r="D1" t="str"><v>Since</v></c></row>
            <row><c r="A2" t="s"><v>1</v></c><c r="B2"><f>4+5</f><v>9</v></c><c r="D2" s="1"><v>45429</v></c></row>
            </sheetData></worksheet>
            """
        ),
    ])

    static let book = ZipSample.archive([
        ("mimetype", "application/epub+zip"),
        (
            "META-INF/container.xml",
            "<container><rootfiles><rootfile full-path=\"OPS/book.opf\"/></rootfiles></container>"
        ),
        (
            "OPS/book.opf",
            """
            <package xmlns:dc="d"><metadata><dc:title>Of Boats</dc:title></metadata><manifest>
            <item id="2" href="text/two%20b.xhtml" media-type="application/xhtml+xml"/>
            <item id="1" href="one.xhtml" media-type="application/xhtml+xml"/></manifest>
            <spine><itemref idref="1"/><itemref idref="2"/></spine></package>
            """
        ),
        ("OPS/text/two b.xhtml", "<html><body><h1>Two</h1><p>They sink.</p></body></html>"),
        ("OPS/one.xhtml", "<html><body><h1>One</h1><p>They float.</p></body></html>"),
    ])

    static let archive = ZipSample.archive([
        .init(name: "b/notes.md", bytes: Array("# Oars\n\nOf ash.".utf8), isDeflated: true),
        .init(name: "a.docx", bytes: word),
        .init(name: "photo.png", bytes: [1, 2, 3]),
        .init(name: "__MACOSX/b/._notes.md", bytes: [0, 1, 2]),
    ])

    static let csv = "Dish;Price\n\"Cod; \"\"fried\"\"\nwith chips\";9\nPeas;\n"

    static let json = """
        {"name": "Ship", "built": 1901, "crew": [{"name": "Ann", "rank": {"grade": 2}}, {"name": "Bo"}],
         "home": {"port": "Bergen", "gone": null}}
        """

    static let code = """
        import Boats

        /// Floats.
        func float() {
            up()

            more()
        }

        let oars = 2
        """

    static let mail = """
        From: =?utf-8?Q?J=C3=B8rn?= <j@example.com>
        To: b@example.com
        Subject: =?iso-8859-1?B?Qm9hdHMg6Q==?= =?utf-8?Q?_now?=
        Date: Mon, 1 Jan 2024 10:00:00 +0000
        Content-Type: multipart/mixed; boundary="xyz"

        Preamble.
        --xyz
        Content-Type: multipart/alternative; boundary=abc

        --abc
        Content-Type: text/plain; charset=iso-8859-1
        Content-Transfer-Encoding: quoted-printable

        They fl=
        oat, caf=E9.
        --abc
        Content-Type: text/html

        <p>They float in HTML.</p>
        --abc--
        --xyz
        Content-Type: text/csv; name="menu.csv"
        Content-Disposition: attachment; filename="menu.csv"
        Content-Transfer-Encoding: base64

        RGlzaCxQcmljZQpDb2QsOQo=
        --xyz
        Content-Type: image/png
        Content-Disposition: attachment; filename="photo.png"

        x
        --xyz--
        """

    /// A PDF with a page for each text, as small as `pdftotext` accepts it: without a cross-reference
    /// table, which it then makes itself.
    static func pdf(_ pages: [String]) -> [UInt8] {
        var text = "%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n"
        let kids = pages.indices.map { "\(10 + 2 * $0) 0 R" }.joined(separator: " ")
        text += "2 0 obj<</Type/Pages/Kids[\(kids)]/Count \(pages.count)>>endobj\n"
        text += "3 0 obj<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>endobj\n"
        for (place, page) in pages.enumerated() {
            let content = page.isEmpty ? "" : "BT /F 12 Tf 72 700 Td (\(page)) Tj ET"
            text += """
                \(10 + 2 * place) 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 600 800]/Contents \
                \(11 + 2 * place) 0 R/Resources<</Font<</F 3 0 R>>>>>>endobj
                \(11 + 2 * place) 0 obj<</Length \(content.utf8.count)>>stream
                \(content)
                endstream endobj

                """
        }
        return Array((text + "trailer<</Root 1 0 R>>\n%%EOF\n").utf8)
    }
}
