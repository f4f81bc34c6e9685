//! The description of the control API that is shipped is that of the calls there are.

use std::fs;

use serde_json::Value;

const SHIPPED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../packaging/openapi.json");

#[test]
fn the_description_that_is_shipped_is_true() {
    let now = longhaul_engine::control::openapi();
    let shipped = fs::read(SHIPPED).unwrap_or_default();
    let shipped = serde_json::from_slice::<Value>(&shipped).ok();
    if shipped.as_ref() != Some(&now) {
        let path = concat!(env!("CARGO_TARGET_TMPDIR"), "/openapi.json");
        fs::write(path, format!("{now:#}\n")).unwrap();
        panic!("the calls have changed: cp {path} {SHIPPED}");
    }
}
