#pragma once

struct sqlite3;

/// How many words each row of an FTS5 table has, as far as that was asked for. For tables whose rows
/// never change and whose numbers are never given twice. Any thread may use it.
typedef struct keyword_lengths keyword_lengths;

/// Nil without memory.
keyword_lengths *keyword_lengths_new(void);
/// After every connection that knows it is closed.
void keyword_lengths_free(keyword_lengths *lengths);

/// Makes two functions known to a connection. Both rank as FTS5's own `bm25` does (Okapi BM25, k1 1.2,
/// b 0.75), several times as fast. The lengths have to be those of the one table that they are asked of.
///
/// - `row_bm25(table, weight of column 0, …)`: of the row at hand; smaller is better.
/// - `best_bm25(table, limit, stretches, rows_max, weight of column 0, …)`: asked of any one row of a query
///   that is phrases with OR between them, the best rows of all, best first: a blob of pairs of row (64-bit
///   integer) and score (double; larger is better). `stretches` is NULL, or a blob of pairs of 64-bit
///   integers, first and last, ascending and apart: no other rows are taken. A phrase that is in more than
///   `rows_max` rows is left out; zero is no limit.
///
/// Returns zero, or a code of SQLite's.
int keyword_register(struct sqlite3 *connection, keyword_lengths *lengths);
