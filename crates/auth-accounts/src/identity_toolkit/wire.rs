//! Requests and answers as JSON (docs/domain/wire-formats.md#accounts).

use secrecy::ExposeSecret;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::super::{Account, AccountError, AccountUpdate, NewAccount, Provider, Result};
use document_store::Timestamp;

/// Adds what is there.
fn add(body: &mut Map<String, Value>, name: &str, value: Option<impl Into<Value>>) {
    if let Some(value) = value {
        body.insert(name.to_owned(), value.into());
    }
}

/// `POST /accounts`. (Custom claims aren't taken there.)
pub(super) fn creation(uid: &str, new: &NewAccount) -> Value {
    let mut body = Map::new();
    add(&mut body, "localId", Some(uid));
    add(&mut body, "email", new.email.as_deref());
    add(&mut body, "emailVerified", Some(new.email_verified));
    add(&mut body, "displayName", new.display_name.as_deref().filter(|name| !name.is_empty()));
    add(&mut body, "password", new.password.as_ref().map(ExposeSecret::expose_secret));
    Value::Object(body)
}

/// `POST /accounts:update`.
pub(super) fn update(uid: &str, update: &AccountUpdate) -> Value {
    let mut body = Map::new();
    add(&mut body, "localId", Some(uid));
    add(&mut body, "email", update.email.as_deref());
    add(&mut body, "emailVerified", update.email_verified);
    add(&mut body, "phoneNumber", update.phone_number.as_deref());
    add(&mut body, "password", update.password.as_ref().map(ExposeSecret::expose_secret));
    // Not `disabled`, as it's called when an account is created.
    add(&mut body, "disableUser", update.disabled);
    // A JSON text, not an object; `{}` clears them.
    add(&mut body, "customAttributes", update.custom_claims.clone().map(|claims| Value::Object(claims).to_string()));
    add(&mut body, "validSince", update.valid_since.map(|since| since.as_second().to_string()));
    let link = |link: &Provider| json!({"providerId": link.provider_id, "rawId": link.raw_id});
    add(&mut body, "linkProviderUserInfo", update.link.as_ref().map(link));
    // An empty text means nothing there: what is to go away has to be named.
    let mut taken_away = Vec::new();
    for (name, attribute, value) in [
        ("displayName", "DISPLAY_NAME", update.display_name.as_deref()),
        ("photoUrl", "PHOTO_URL", update.photo_url.as_deref()),
    ] {
        match value {
            Some("") => taken_away.push(attribute),
            value => add(&mut body, name, value),
        }
    }
    add(&mut body, "deleteAttribute", Some(taken_away).filter(|attributes| !attributes.is_empty()));
    Value::Object(body)
}

/// What a look-up found. Without `users` when that's nothing.
#[derive(Deserialize)]
pub(super) struct Found {
    #[serde(default)]
    pub(super) users: Vec<User>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct User {
    local_id: String,
    email: Option<String>,
    #[serde(default)]
    email_verified: bool,
    display_name: Option<String>,
    photo_url: Option<String>,
    phone_number: Option<String>,
    #[serde(default)]
    disabled: bool,
    #[serde(default)]
    custom_attributes: String,
    #[serde(default)]
    provider_user_info: Vec<UserProvider>,
    valid_since: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct UserProvider {
    provider_id: String,
    #[serde(default)]
    raw_id: String,
}

impl User {
    /// Converts an account. Fails when its claims or times can't be read, because a caller that changes a part of the
    /// claims would lose the rest.
    pub(super) fn into_account(self) -> Result<Account> {
        let odd = |field: &str| AccountError::Failed(format!("an account's {field} can't be understood"));
        let claims = match self.custom_attributes.as_str() {
            "" => Map::new(),
            claims => serde_json::from_str(claims).map_err(|_| odd("customAttributes"))?,
        };
        let since = |seconds: String| seconds.parse().ok().and_then(|seconds| Timestamp::from_second(seconds).ok());
        let valid_since = match self.valid_since {
            Some(seconds) => Some(since(seconds).ok_or_else(|| odd("validSince"))?),
            None => None,
        };
        let provider = |linked: UserProvider| Provider { provider_id: linked.provider_id, raw_id: linked.raw_id };
        Ok(Account {
            uid: self.local_id,
            email: self.email.map(|email| email.to_lowercase()),
            email_verified: self.email_verified,
            display_name: self.display_name,
            photo_url: self.photo_url,
            phone_number: self.phone_number,
            disabled: self.disabled,
            custom_claims: claims,
            providers: self.provider_user_info.into_iter().map(provider).collect(),
            valid_since,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_update_names_things_as_the_service_does() {
        let all = AccountUpdate {
            email: Some("a@b.example".to_owned()),
            email_verified: Some(true),
            display_name: Some("A".to_owned()),
            photo_url: Some("https://b.example/a.png".to_owned()),
            phone_number: Some("+15551234567".to_owned()),
            password: Some("sesame".into()),
            disabled: Some(true),
            custom_claims: Some(Map::from_iter([("userId".to_owned(), json!("u1"))])),
            valid_since: Some(Timestamp::from_millisecond(1_700_000_000_900).unwrap()),
            link: Some(Provider { provider_id: "oidc.clever".to_owned(), raw_id: "c1".to_owned() }),
        };
        assert_eq!(
            update("u1", &all),
            json!({
                "localId": "u1", "email": "a@b.example", "emailVerified": true, "displayName": "A",
                "photoUrl": "https://b.example/a.png", "phoneNumber": "+15551234567", "password": "sesame",
                "disableUser": true, "customAttributes": "{\"userId\":\"u1\"}", "validSince": "1700000000",
                "linkProviderUserInfo": {"providerId": "oidc.clever", "rawId": "c1"},
            })
        );
        let taken_away = AccountUpdate {
            display_name: Some(String::new()),
            photo_url: Some(String::new()),
            custom_claims: Some(Map::new()),
            ..AccountUpdate::default()
        };
        assert_eq!(
            update("u1", &taken_away),
            json!({"localId": "u1", "customAttributes": "{}", "deleteAttribute": ["DISPLAY_NAME", "PHOTO_URL"]})
        );
        assert_eq!(update("u1", &AccountUpdate::default()), json!({"localId": "u1"}));
    }

    #[test]
    fn an_account_that_cannot_be_understood_fails() {
        let account = |user: Value| serde_json::from_value::<User>(user).unwrap().into_account();
        assert!(account(json!({"localId": "u1"})).is_ok_and(|account| account.custom_claims.is_empty()));
        for user in [
            json!({"localId": "u1", "customAttributes": "[1]"}),
            json!({"localId": "u1", "customAttributes": "{"}),
            json!({"localId": "u1", "validSince": "yesterday"}),
        ] {
            assert!(matches!(account(user), Err(AccountError::Failed(_))));
        }
    }
}
