//! How values look to people: tables, numbers, sizes, dates, lengths of time. Vietnamese habits: thousands
//! with a dot, dates `23/11/2026 14:05:09` in Viet Nam time.

use comfy_table::presets::NOTHING;
use comfy_table::{
    Cell, CellAlignment, ColumnConstraint, ContentArrangement, LineStyle, Table as Comfy, TableStyle, Width,
};
use jiff::Timestamp;
use jiff::civil::Date;
use truc_model::clock::viet_nam;

/// Columns side by side, a thin line under the head, no other lines.
const STYLE: TableStyle = NOTHING.header_separator(LineStyle::none().fill('─'));

/// What stands where there is no value.
pub(crate) const NONE: &str = "–";

/// Widest cell, in columns of the terminal, the gap after it included: a digest stays in one piece to be
/// copied. Longer text is broken into lines.
pub(crate) const CELL_MAX: u16 = 72;

/// A table for people.
pub(crate) struct Table {
    inner: Comfy,
    rows: usize,
}

impl Table {
    /// With these heads; one that begins with `>` is for numbers and stands right.
    pub(crate) fn new(heads: &[&str]) -> Self {
        let mut inner = Comfy::new();
        inner.load_style(STYLE);
        inner.set_content_arrangement(ContentArrangement::Dynamic);
        inner.set_header(heads.iter().map(|head| Cell::new(head.trim_start_matches('>'))));
        for (index, head) in heads.iter().enumerate() {
            if let Some(column) = inner.column_mut(index) {
                column.set_constraint(ColumnConstraint::UpperBoundary(Width::Fixed(CELL_MAX)));
                column.set_padding((0, 2));
                if head.starts_with('>') {
                    column.set_cell_alignment(CellAlignment::Right);
                }
            }
        }
        Self { inner, rows: 0 }
    }

    /// Adds a row; as many cells as there are heads.
    pub(crate) fn row<I, T>(&mut self, cells: I)
    where
        I: IntoIterator<Item = T>,
        T: Into<String>,
    {
        self.rows += 1;
        self.inner
            .add_row(cells.into_iter().map(|cell| Cell::new(one_line(&cell.into()))));
    }

    /// Whether it has no row.
    pub(crate) const fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// The text, without spaces at the ends of lines.
    pub(crate) fn text(&self) -> String {
        trim_lines(&self.inner.to_string())
    }
}

/// Facts one under another: label, value. Rows without a value are left out.
#[derive(Default)]
pub(crate) struct Facts {
    rows: Vec<(String, String)>,
}

impl Facts {
    /// Adds a fact.
    pub(crate) fn add(&mut self, label: &str, value: impl Into<String>) {
        self.rows.push((label.to_owned(), one_line(&value.into())));
    }

    /// Adds a fact that may be absent.
    pub(crate) fn maybe(&mut self, label: &str, value: Option<impl Into<String>>) {
        if let Some(value) = value {
            self.add(label, value);
        }
    }

    /// The text.
    pub(crate) fn text(&self) -> String {
        let width = self
            .rows
            .iter()
            .map(|(label, _)| label.chars().count())
            .max()
            .unwrap_or(0);
        let lines: Vec<String> = self
            .rows
            .iter()
            .map(|(label, value)| {
                let gap = " ".repeat(width - label.chars().count() + 2);
                format!("{label}{gap}{value}").trim_end().to_owned()
            })
            .collect();
        lines.join("\n")
    }
}

/// Thousands with a dot: `184.620`.
pub(crate) fn number(value: impl TryInto<i128>) -> String {
    let value: i128 = value.try_into().unwrap_or(i128::MAX);
    let digits = value.unsigned_abs().to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3 + 1);
    if value < 0 {
        text.push('-');
    }
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push('.');
        }
        text.push(digit);
    }
    text
}

/// `23/11/2026 14:05:09`, Viet Nam time.
pub(crate) fn moment(at: Timestamp) -> String {
    at.to_zoned(viet_nam()).strftime("%d/%m/%Y %H:%M:%S").to_string()
}

/// `23/11/2026`.
pub(crate) fn day(date: Date) -> String {
    date.strftime("%d/%m/%Y").to_string()
}

/// `1,4 MB`, decimals with a comma; 1 KB = 1.024 bytes.
pub(crate) fn size(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KB", "MB", "GB", "TB"];
    if bytes < 1024 {
        return format!("{bytes} byte");
    }
    let (mut tenths, mut unit) = (bytes.saturating_mul(10) / 1024, 0);
    while tenths >= 10_240 && unit + 1 < UNITS.len() {
        tenths /= 1024;
        unit += 1;
    }
    let word = UNITS[unit];
    if tenths >= 1000 {
        format!("{} {word}", number(tenths / 10))
    } else {
        format!("{},{} {word}", tenths / 10, tenths % 10)
    }
}

/// A length of time in its two largest units: `3 ngày 4 giờ`, `12 giây`.
pub(crate) fn length(seconds: i64) -> String {
    let seconds = seconds.max(0);
    let parts = [
        (seconds / 86_400, "ngày"),
        (seconds / 3600 % 24, "giờ"),
        (seconds / 60 % 60, "phút"),
        (seconds % 60, "giây"),
    ];
    let first = parts
        .iter()
        .position(|(count, _)| *count > 0)
        .unwrap_or(parts.len() - 1);
    let shown: Vec<String> = parts[first..]
        .iter()
        .take(2)
        .enumerate()
        .filter(|(index, (count, _))| *index == 0 || *count > 0)
        .map(|(_, (count, word))| format!("{count} {word}"))
        .collect();
    shown.join(" ")
}

/// How long ago.
pub(crate) fn age(since: Timestamp, now: Timestamp) -> String {
    length(now.as_second() - since.as_second())
}

/// A value or [`NONE`].
pub(crate) fn or_none<T: ToString>(value: Option<T>) -> String {
    value.map_or_else(|| NONE.to_owned(), |value| value.to_string())
}

/// Keeps a value from outside on one line and free of control characters: a subject must not move the
/// cursor of an operator's terminal.
pub(crate) fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for character in text.chars() {
        let shown = if is_unsafe(character) { ' ' } else { character };
        if shown != ' ' || !line.ends_with(' ') {
            line.push(shown);
        }
    }
    line.trim().to_owned()
}

/// Control characters, and those that turn the direction of writing.
fn is_unsafe(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

fn trim_lines(text: &str) -> String {
    text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_dots() {
        for (value, text) in [
            (0, "0"),
            (999, "999"),
            (1000, "1.000"),
            (184_620, "184.620"),
            (-1_234_567, "-1.234.567"),
        ] {
            assert_eq!(number(value), text);
        }
    }

    #[test]
    fn times_are_viet_nams() {
        assert_eq!(
            moment("2026-11-23T07:05:09Z".parse().unwrap()),
            "23/11/2026 14:05:09"
        );
        assert_eq!(
            moment("2026-11-23T18:00:00Z".parse().unwrap()),
            "24/11/2026 01:00:00"
        );
        assert_eq!(day(jiff::civil::date(2026, 3, 1)), "01/03/2026");
    }

    #[test]
    fn lengths_have_two_units() {
        for (seconds, text) in [
            (0, "0 giây"),
            (59, "59 giây"),
            (60, "1 phút"),
            (3725, "1 giờ 2 phút"),
            (3605, "1 giờ"),
            (273_600, "3 ngày 4 giờ"),
            (-5, "0 giây"),
        ] {
            assert_eq!(length(seconds), text);
        }
    }

    #[test]
    fn sizes_have_units() {
        for (bytes, text) in [
            (0, "0 byte"),
            (1023, "1023 byte"),
            (1024, "1,0 KB"),
            (1536, "1,5 KB"),
            (102_400, "100 KB"),
            (1 << 20, "1,0 MB"),
            (5 << 30, "5,0 GB"),
            (u64::MAX, "1.677.721 TB"),
        ] {
            assert_eq!(size(bytes), text);
        }
    }

    #[test]
    fn values_from_outside_cannot_move_the_cursor() {
        assert_eq!(one_line(" V/v\r\n\u{1b}[2J họp\t \u{202e}x "), "V/v [2J họp x");
    }

    #[test]
    fn a_table_is_aligned_and_bare() {
        let mut table = Table::new(&["Đơn vị", ">Gửi"]);
        assert!(table.is_empty());
        table.row(["Sở Tài nguyên", "1.234"]);
        table.row(["Xã", "7"]);
        let text = table.text();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 4, "{text}");
        assert_eq!(lines[2].chars().count(), lines[3].chars().count(), "{text}");
        assert!(lines[1].chars().all(|c| c == '─'), "{text}");
        assert!(!text.contains('|'), "{text}");
    }

    #[test]
    fn long_cells_are_broken_into_lines() {
        let mut table = Table::new(&["A"]);
        table.row(["từ ".repeat(40)]);
        assert!(table.text().starts_with("A\n──"), "{}", table.text());
        assert!(
            table
                .text()
                .lines()
                .all(|line| line.chars().count() <= usize::from(CELL_MAX)),
            "{}",
            table.text()
        );
    }

    #[test]
    fn facts_stand_under_one_another() {
        let mut facts = Facts::default();
        facts.add("Số", "1");
        facts.maybe("Không", None::<String>);
        facts.add("Đơn vị gửi", "A");
        assert_eq!(facts.text(), "Số          1\nĐơn vị gửi  A");
    }
}
