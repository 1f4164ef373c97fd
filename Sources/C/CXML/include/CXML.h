#pragma once

/// Who is told what an HTML or XML text holds, in document order. Every `open` has its `close`, also where
/// the text leaves end tags out. Strings are UTF-8 and live for the call only.
typedef struct {
    /// `attributes` is a list of name, value, name, value, NULL (a value may be NULL), or NULL.
    /// What it returns other than 0 ends the reading.
    int (*open)(void *context, const char *name, const char *const *attributes);
    void (*close)(void *context, const char *name);
    void (*text)(void *context, const char *bytes, int length);
} cxml_reader;

/// Reads `length` bytes of UTF-8 as HTML, forgiving as browsers are. Builds no tree, fetches nothing,
/// follows no entity or DTD. Returns 0, or -1 when memory is short or `length` is negative.
int cxml_read_html(const char *bytes, int length, cxml_reader reader, void *context);

/// Reads `length` bytes of UTF-8 as XML. Elements keep their prefix: `w:p`. Builds
/// no tree, fetches nothing, declares no entity; nesting and names keep to libxml2's limits. Returns
/// 0, 1 where the text is not well-formed (what came before was told), or -1 as above.
int cxml_read_xml(const char *bytes, int length, cxml_reader reader, void *context);
