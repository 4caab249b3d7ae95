//! `users suspend`.

use serde_json::Value;

use crate::cli::run;

#[test]
fn somebody_is_suspended_and_let_in_again() {
    let directory = tempfile::tempdir().unwrap();
    let variables = [("ROAR_DATA_DIR", directory.path().to_str().unwrap())];
    let say = |args: &[&str]| {
        let (code, stdout, stderr) = run(args, &variables);
        assert_eq!(code, 0, "{args:?}: {stderr}");
        stdout.trim().to_owned()
    };
    let claims = r#"{"claims": {"roarUid": "r1", "adminUid": "u1", "super_admin": true}, "lastUpdated": 1}"#;
    say(&["doc", "set", "userClaims/u1", claims]);
    let suspended = || serde_json::from_str::<Value>(&say(&["doc", "get", "userClaims/u1"])).unwrap();
    assert_eq!(say(&["users", "suspend", "u1"]), "u1 is suspended.");
    assert_eq!(suspended()["suspended"], true);
    assert!(suspended()["suspendedAt"]["$timestamp"].is_string());
    assert_eq!(say(&["users", "suspend", "u1"]), "u1 is suspended already.");
    assert_eq!(say(&["users", "suspend", "u1", "--lift"]), "u1 is no longer suspended.");
    assert_eq!(say(&["users", "suspend", "u1", "--lift"]), "u1 isn't suspended.");
    assert_eq!((suspended().get("suspended"), &suspended()["claims"]["super_admin"]), (None, &Value::Bool(true)));
    let audit = say(&["doc", "list", "claimsAudit"]);
    for action in ["suspend", "lift"] {
        assert_eq!(audit.matches(&format!(r#""action":"{action}""#)).count(), 1, "{audit}");
    }
    let (code, _, stderr) = run(&["users", "suspend", "nobody"], &variables);
    assert!(code == 1 && stderr.contains("There is no such account"), "{stderr}");
}
