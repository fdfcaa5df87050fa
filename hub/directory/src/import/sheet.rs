//! A CSV file as rows of named cells, each with the line it begins at.
//!
//! Forgives what spreadsheets do: byte order mark, CRLF, `;` for `,`, columns in any order, empty rows.

use std::collections::HashSet;

use csv::ByteRecord;

use crate::problem::{Column, Problem, ProblemKind};

/// Most bytes of one file.
pub const MAX_CSV_BYTES: usize = 64 * 1024 * 1024;
/// Most rows of one file, header not counted.
pub const MAX_ROWS: usize = 200_000;
/// Most columns that are looked at.
const MAX_COLUMNS: usize = 64;
/// Longest cell, in bytes.
const MAX_CELL: usize = 8 * 1024;

/// One row.
#[derive(Debug)]
pub(crate) struct Row {
    /// Where it begins, the header being line 1.
    pub(crate) line: u64,
    cells: Vec<(Column, String)>,
}

impl Row {
    /// The cell as written; `None` when the file has no such column.
    pub(crate) fn raw(&self, column: Column) -> Option<&str> {
        let cell = self.cells.iter().find(|(known, _)| *known == column);
        cell.map(|(_, text)| text.as_str())
    }

    /// The cell without outer white space; `None` when the file has no such column.
    pub(crate) fn text(&self, column: Column) -> Option<&str> {
        self.raw(column).map(str::trim)
    }
}

/// The rows that could be read, and how many there were.
#[derive(Debug, Default)]
pub(crate) struct Sheet {
    pub(crate) rows: Vec<Row>,
    pub(crate) count: usize,
}

/// Reads a file. What cannot be read is told in `problems`; of a file without its required columns, or
/// over a limit, nothing is taken.
pub(crate) fn read(
    bytes: &[u8],
    known: &[Column],
    required: &[Column],
    problems: &mut Vec<Problem>,
) -> Sheet {
    if bytes.len() > MAX_CSV_BYTES {
        problems.push(Problem::error(
            ProblemKind::FileTooLarge,
            &bytes.len().to_string(),
        ));
        return Sheet::default();
    }
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    if bytes.starts_with(b"\xFF\xFE") || bytes.starts_with(b"\xFE\xFF") {
        problems.push(Problem::error(ProblemKind::NotUtf8, "UTF-16").on_line(1));
        return Sheet::default();
    }
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(delimiter(bytes))
        .has_headers(false)
        .flexible(true)
        .from_reader(bytes);
    let mut record = ByteRecord::new();
    // Reading from memory into byte records has no error left; end of file and error end alike.
    if !reader.read_byte_record(&mut record).unwrap_or(false) {
        for column in required {
            problems.push(Problem::error(ProblemKind::ColumnMissing, "").at(1, *column));
        }
        return Sheet::default();
    }
    let Some(header) = header(&record, known, required, problems) else {
        return Sheet::default();
    };
    let mut lines = Lines::new(bytes);
    let mut sheet = Sheet::default();
    while reader.read_byte_record(&mut record).unwrap_or(false) {
        if record.iter().all(|cell| cell.trim_ascii().is_empty()) {
            continue;
        }
        sheet.count += 1;
        if sheet.count > MAX_ROWS {
            problems.push(Problem::error(ProblemKind::TooManyRows, &format!("> {MAX_ROWS}")));
            return Sheet::default();
        }
        let begins = record.position().map_or(0, csv::Position::byte);
        let line = lines.at(usize::try_from(begins).unwrap_or(usize::MAX));
        match row(&record, &header, line) {
            Ok(row) => sheet.rows.push(row),
            Err(problem) => problems.push(*problem),
        }
    }
    sheet
}

fn header(
    record: &ByteRecord,
    known: &[Column],
    required: &[Column],
    problems: &mut Vec<Problem>,
) -> Option<Vec<Option<Column>>> {
    let mut seen = HashSet::new();
    let mut columns = Vec::with_capacity(record.len());
    let mut usable = true;
    for cell in record.iter().take(MAX_COLUMNS) {
        let word = String::from_utf8_lossy(cell).trim().to_lowercase();
        let column = known.iter().copied().find(|column| column.as_str() == word);
        match column {
            Some(column) if !seen.insert(column) => {
                problems.push(Problem::error(ProblemKind::ColumnTwice, &word).at(1, column));
                usable = false;
            }
            None if !word.is_empty() => {
                problems.push(Problem::warning(ProblemKind::ColumnUnknown, &word).on_line(1));
            }
            _ => {}
        }
        columns.push(column);
    }
    for column in required.iter().filter(|column| !seen.contains(column)) {
        let found = String::from_utf8_lossy(record.as_slice());
        problems.push(Problem::error(ProblemKind::ColumnMissing, &found).at(1, *column));
        usable = false;
    }
    usable.then_some(columns)
}

fn row(record: &ByteRecord, header: &[Option<Column>], line: u64) -> Result<Row, Box<Problem>> {
    let beyond = record
        .iter()
        .skip(header.len())
        .any(|cell| !cell.trim_ascii().is_empty());
    if record.len() < header.len() || beyond {
        let kind = ProblemKind::RowWidth {
            expected: header.len(),
        };
        return Err(Box::new(
            Problem::error(kind, &record.len().to_string()).on_line(line),
        ));
    }
    let mut cells = Vec::with_capacity(header.len());
    for (cell, column) in record.iter().zip(header) {
        let Some(column) = *column else { continue };
        let found = |text: &[u8]| String::from_utf8_lossy(&text[..text.len().min(200)]).into_owned();
        if cell.len() > MAX_CELL {
            let problem = Problem::error(ProblemKind::CellTooLong, &found(cell));
            return Err(Box::new(problem.at(line, column)));
        }
        let Ok(text) = std::str::from_utf8(cell) else {
            let problem = Problem::error(ProblemKind::NotUtf8, &found(cell));
            return Err(Box::new(problem.at(line, column)));
        };
        cells.push((column, text.to_owned()));
    }
    Ok(Row { line, cells })
}

/// The separator the header line has more of.
fn delimiter(bytes: &[u8]) -> u8 {
    let first = bytes
        .split(|b| matches!(b, b'\n' | b'\r'))
        .find(|line| !line.is_empty());
    let count = |wanted: u8| first.map_or(0, |line| line.iter().filter(|b| **b == wanted).count());
    if count(b';') > count(b',') { b';' } else { b',' }
}

/// Line numbers of ascending places in the file. The reader's own numbers lag behind with CRLF: it leaves
/// the LF to the record that follows.
struct Lines<'a> {
    bytes: &'a [u8],
    place: usize,
    line: u64,
}

impl<'a> Lines<'a> {
    const fn new(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            place: 0,
            line: 1,
        }
    }

    /// The line of the first character at or after `place` that is no line end.
    fn at(&mut self, place: usize) -> u64 {
        while let Some(byte) = self.bytes.get(self.place) {
            if self.place >= place && !matches!(byte, b'\n' | b'\r') {
                break;
            }
            // LF, and CR without LF, end a line.
            let ends = match byte {
                b'\n' => true,
                b'\r' => self.bytes.get(self.place + 1) != Some(&b'\n'),
                _ => false,
            };
            self.line += u64::from(ends);
            self.place += 1;
        }
        self.line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> (Vec<u64>, Vec<Problem>) {
        let mut problems = Vec::new();
        let sheet = read(
            text.as_bytes(),
            &[Column::Code, Column::Name],
            &[Column::Code],
            &mut problems,
        );
        (sheet.rows.iter().map(|row| row.line).collect(), problems)
    }

    #[test]
    fn line_numbers_with_every_line_end() {
        for end in ["\n", "\r\n", "\r"] {
            let text = format!("code,name{end}A1,x{end}{end}A2,\"y{end}z\"{end}A3,w");
            assert_eq!(lines(&text), (vec![2, 4, 6], vec![]), "{end:?}");
        }
        assert_eq!(lines("\u{feff}\ncode\nA1\n,\nA2").0, [3, 5]);
    }

    #[test]
    fn headers_that_are_wrong() {
        let kinds = |text: &str| -> Vec<ProblemKind> { lines(text).1.into_iter().map(|p| p.kind).collect() };
        assert_eq!(kinds(""), [ProblemKind::ColumnMissing]);
        assert_eq!(kinds("name\nx"), [ProblemKind::ColumnMissing]);
        assert_eq!(kinds("code,code\nx,y"), [ProblemKind::ColumnTwice]);
        assert_eq!(kinds(" CODE ;phone\nx;y"), [ProblemKind::ColumnUnknown]);
        assert_eq!(lines("code;name\nA1;a, b").0, [2]);
    }

    #[test]
    fn limits_hold_at_their_edge() {
        let file = |rows: usize| format!("code\n{}", "A1\n".repeat(rows));
        let (rows, problems) = lines(&file(MAX_ROWS));
        assert_eq!((rows.len(), problems.len()), (MAX_ROWS, 0));
        let (rows, problems) = lines(&file(MAX_ROWS + 1));
        assert!(rows.is_empty());
        assert_eq!(problems[0].kind, ProblemKind::TooManyRows);

        assert_eq!(lines(&format!("code\n{}", "1".repeat(MAX_CELL))).0, [2]);
        let (rows, problems) = lines(&format!("code\n{}", "1".repeat(MAX_CELL + 1)));
        assert!(rows.is_empty());
        assert_eq!(problems[0].kind, ProblemKind::CellTooLong);

        // Columns beyond the limit are no columns: a row that fills them is too wide.
        let wide =
            |columns: usize| format!("code{}\nA1{}", ",x".repeat(columns - 1), ",y".repeat(columns - 1));
        assert_eq!(lines(&wide(MAX_COLUMNS)).0, [2]);
        assert_eq!(lines(&wide(MAX_COLUMNS + 1)).0, [0; 0]);

        let mut problems = Vec::new();
        let big = vec![b'\n'; MAX_CSV_BYTES + 1];
        read(&big, &[Column::Code], &[Column::Code], &mut problems);
        assert_eq!(problems[0].kind, ProblemKind::FileTooLarge);
        problems.clear();
        read(&big[1..], &[Column::Code], &[Column::Code], &mut problems);
        assert_eq!(problems[0].kind, ProblemKind::ColumnMissing);
    }

    #[test]
    fn rows_that_are_wrong() {
        let mut problems = Vec::new();
        let bytes = b"code,name\nA1\nA2,x,y\nA3,x,,\nA4,\xC0\n";
        let sheet = read(bytes, &[Column::Code, Column::Name], &[], &mut problems);
        assert_eq!((sheet.count, sheet.rows.len()), (4, 1));
        let told: Vec<_> = problems.iter().map(|p| (p.line, p.kind.code())).collect();
        assert_eq!(
            told,
            [
                (Some(2), "row-width"),
                (Some(3), "row-width"),
                (Some(5), "not-utf8")
            ]
        );
        problems.clear();
        read(b"\xFF\xFEc\0", &[Column::Code], &[Column::Code], &mut problems);
        assert_eq!(problems[0].kind, ProblemKind::NotUtf8);
    }
}
