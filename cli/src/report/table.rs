//! Tables for people: columns that are as wide as their widest cell, the last one as it comes.

/// Columns between two cells.
const GAP: usize = 2;

/// Rows of text, without anything that moves a cursor.
#[derive(Debug, Default)]
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these heads.
    pub(crate) fn new(heads: &[&str]) -> Self {
        let mut table = Self::default();
        table.row(heads.iter().map(|&head| head.to_owned()).collect());
        table
    }

    /// Adds a row.
    pub(crate) fn row(&mut self, cells: Vec<String>) {
        self.rows
            .push(cells.iter().map(|cell| printable(cell)).collect());
    }

    /// The lines.
    pub(crate) fn lines(&self) -> Vec<String> {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        let line = |row: &Vec<String>| {
            let mut line = String::new();
            for (column, cell) in row.iter().enumerate() {
                line.push_str(cell);
                if column + 1 < row.len() {
                    let pad = widths[column] + GAP - cell.chars().count();
                    line.push_str(&" ".repeat(pad));
                }
            }
            line.trim_end().to_owned()
        };
        self.rows.iter().map(line).collect()
    }
}

/// A text none of whose characters moves the cursor: names come from servers and from other programs.
pub(crate) fn printable(text: &str) -> String {
    let clean = text.chars().map(|c| if c.is_control() { '?' } else { c });
    clean.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_beneath_each_other_and_move_no_cursor() {
        let mut table = Table::new(&["TASK", "STATE", "NAME"]);
        table.row(vec!["12".into(), "running".into(), "a\u{1b}[2J".into()]);
        table.row(vec!["photos/3".into(), "é".into(), String::new()]);
        assert_eq!(
            table.lines(),
            [
                "TASK      STATE    NAME",
                "12        running  a?[2J",
                "photos/3  é",
            ]
        );
    }
}
