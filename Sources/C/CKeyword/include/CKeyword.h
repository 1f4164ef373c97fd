#pragma once

struct sqlite3;

/// How many words each row of an FTS5 table has, as far as that was asked for. For tables whose rows
/// never change and whose numbers are never given twice. Any thread may use it.
typedef struct keyword_lengths keyword_lengths;

/// Nil without memory.
keyword_lengths *keyword_lengths_new(void);
/// After every connection that knows it is closed.
void keyword_lengths_free(keyword_lengths *lengths);

/// Makes `row_bm25(table, weight of column 0, …)` known to a connection: what FTS5's own `bm25` says
/// (Okapi BM25, k1 1.2, b 0.75; smaller is better), several times as fast. The lengths have to be those of
/// the one table that it is asked of. Returns zero, or a code of SQLite's.
int keyword_register(struct sqlite3 *connection, keyword_lengths *lengths);
