#include "CXML.h"

#include <libxml/HTMLparser.h>
#include <libxml/parser.h>
#include <pthread.h>
#include <string.h>

typedef struct {
    cxml_reader reader;
    void *context;
    xmlParserCtxtPtr parser;
    int stopped;
} reading;

static void open_element(void *context, const xmlChar *name, const xmlChar **attributes) {
    reading *self = context;
    if (self->stopped) return;
    if (self->reader.open(self->context, (const char *)name, (const char *const *)attributes)) {
        self->stopped = 1;
        xmlStopParser(self->parser);
    }
}

static void close_element(void *context, const xmlChar *name) {
    reading *self = context;
    if (!self->stopped) self->reader.close(self->context, (const char *)name);
}

static void read_text(void *context, const xmlChar *bytes, int length) {
    reading *self = context;
    if (!self->stopped) self->reader.text(self->context, (const char *)bytes, length);
}

static pthread_once_t initialised = PTHREAD_ONCE_INIT;

int cxml_read_html(const char *bytes, int length, cxml_reader reader, void *context) {
    if (length < 0) return -1;
    pthread_once(&initialised, xmlInitParser);

    htmlParserCtxtPtr parser = htmlNewParserCtxt();
    if (parser == NULL) return -1;
    reading self = {.reader = reader, .context = context, .parser = parser};

    // Handlers of our own, and none that builds a tree: depth and memory stay ours to bound.
    memset(parser->sax, 0, sizeof(*parser->sax));
    parser->sax->startElement = open_element;
    parser->sax->endElement = close_element;
    parser->sax->characters = read_text;
    parser->sax->cdataBlock = read_text;
    parser->sax->ignorableWhitespace = read_text;
    parser->userData = &self;

    // The text is UTF-8 by now, whatever it says of itself. HUGE stays off: libxml2 keeps its limits.
    int options = HTML_PARSE_RECOVER | HTML_PARSE_NOERROR | HTML_PARSE_NOWARNING
        | HTML_PARSE_NONET | HTML_PARSE_IGNORE_ENC;
    htmlDocPtr document = htmlCtxtReadMemory(parser, bytes, length, NULL, "UTF-8", options);
    if (document != NULL) xmlFreeDoc(document);
    htmlFreeParserCtxt(parser);
    return 0;
}

int cxml_read_xml(const char *bytes, int length, cxml_reader reader, void *context) {
    if (length < 0) return -1;
    pthread_once(&initialised, xmlInitParser);

    xmlParserCtxtPtr parser = xmlNewParserCtxt();
    if (parser == NULL) return -1;
    reading self = {.reader = reader, .context = context, .parser = parser};

    // No handler declares entities, so none can unfold.
    memset(parser->sax, 0, sizeof(*parser->sax));
    parser->sax->startElement = open_element;
    parser->sax->endElement = close_element;
    parser->sax->characters = read_text;
    parser->sax->cdataBlock = read_text;
    parser->sax->ignorableWhitespace = read_text;
    parser->userData = &self;

    // One encoding, so that who looks at the bytes before sees what the parser sees.
    int options = XML_PARSE_NOERROR | XML_PARSE_NOWARNING | XML_PARSE_NONET | XML_PARSE_IGNORE_ENC;
    xmlDocPtr document = xmlCtxtReadMemory(parser, bytes, length, NULL, "UTF-8", options);
    int is_broken = !parser->wellFormed && !self.stopped;
    if (document != NULL) xmlFreeDoc(document);
    xmlFreeParserCtxt(parser);
    return is_broken ? 1 : 0;
}
