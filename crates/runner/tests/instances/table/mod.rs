//! Attacks against the walls, each at each level, and the table of them in the documentation.
//!
//! Every column is a run of this test binary again, with less: on a small disk in memory, in a cgroup with limits of its own,
//! so that an attack that comes through harms nothing but the run.

mod attacks;
mod column;
mod files;
mod run;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use attacks::Cell;
use column::Column;

/// What stands before and after the table.
const MARKS: [&str; 2] = ["<!-- the table of attacks: written by a test -->\n", "<!-- end of the table -->\n"];

#[test]
fn each_attack_ends_as_the_documentation_says() {
    if let Some(column) = Column::asked_for() {
        return run::column(column);
    }
    let seen: BTreeMap<_, _> = Column::ALL.into_iter().filter_map(|column| Some((column, column.run()?))).collect();
    let mut wrong = Vec::new();
    for attack in attacks::all() {
        for (column, seen) in &seen {
            let cell = &attack.cells[*column as usize];
            let seen = seen.get(attack.code).map(String::as_str);
            let right = match cell {
                // Some kernels are built without modules.
                Cell::Stopped { .. } if attack.code == "load_module" && seen == Some("Function not implemented") => {
                    true
                }
                Cell::Stopped { sees, .. } => seen == Some(*sees),
                // What is known to come through is not tried.
                Cell::Open => seen.is_none(),
            };
            if !right {
                wrong.push(format!("{} at {column:?}: expected {cell:?}, saw {seen:?}", attack.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    is_documented(MARKS, &attacks::table());
}

/// The table in the documentation is this one; with `MODELYARD_WRITE` set it is written.
pub fn is_documented(marks: [&str; 2], current: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/security.md");
    let text = fs::read_to_string(&path).unwrap();
    let (before, rest) = text.split_once(marks[0]).expect("the documentation has a place for the table");
    let (table, after) = rest.split_once(marks[1]).expect("the place ends");
    if table != current && std::env::var_os("MODELYARD_WRITE").is_some() {
        fs::write(&path, [before, marks[0], current, marks[1], after].concat()).unwrap();
        return;
    }
    assert_eq!(table, current, "run this test with MODELYARD_WRITE=1 to write the table");
}
