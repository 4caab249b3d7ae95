//! The project's documents agree with its code.

use roar_functions::functions;
use roar_functions::runtime::Trigger;

/// The README's table of functions, made from the index.
fn function_table() -> String {
    let mut table = String::from("| Function | Set off by | |\n|---|---|---|\n");
    for function in functions::table() {
        let trigger = match &function.trigger {
            Trigger::Callable(_) => "a call".to_owned(),
            Trigger::Document { database, event, pattern, .. } => {
                format!("`{}` {} ({database})", pattern.as_str(), format!("{event:?}").to_lowercase())
            }
            Trigger::Task(_) => "a task".to_owned(),
        };
        table.push_str(&format!("| `{}` | {trigger} | {} |\n", function.name, function.summary));
    }
    table
}

#[test]
fn the_readme_lists_every_function() {
    let readme = include_str!("../../README.md");
    let (_, rest) = readme.split_once("a test compares them -->\n").expect("the beginning of the table");
    let (listed, _) = rest.split_once("<!-- /functions -->").expect("the end of the table");
    assert_eq!(listed, function_table(), "put this into README.md:\n{}", function_table());
}
