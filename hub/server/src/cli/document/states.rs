//! `truc document states`: the life of a document at one recipient, as the program has it.

use truc_model::life::{LifeTable, tables};

use super::super::answer::{Answer, Trouble};
use super::super::show::Table;

/// Prints the tables.
///
/// # Errors
/// [`Trouble`] when they have no JSON, which is a defect.
pub(super) fn states() -> Result<Answer, Trouble> {
    let tables = tables();
    let text: Vec<String> = tables.iter().map(page).collect();
    Answer::fine(text.join("\n\n"), &tables)
}

fn page(table: &LifeTable) -> String {
    let heads: Vec<&str> = ["", ""].into_iter().chain(table.events.iter().copied()).collect();
    let mut printed = Table::new(&heads);
    for row in &table.rows {
        let end = if row.end { " ■" } else { "" };
        let cells = row.cells.iter().map(|cell| {
            if cell.to == row.state {
                cell.how.sign().to_owned()
            } else {
                format!("{} {}", cell.how.sign(), cell.to)
            }
        });
        let heads = [format!("{}{end}", row.state), row.vi.to_owned()];
        printed.row(heads.into_iter().chain(cells));
    }
    format!("{}\n{}", table.title_vi.to_uppercase(), printed.text())
}
