//! The callable `rosterDoubles`.

use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value as Json, json};

use super::decide::in_both;
use super::{Ask, DecideError, Page, decide, waiting};
use crate::app::App;
use crate::orgs::{OrgLists, OrgType};
use crate::payload::{Checked, flag, object, optional_id, optional_ids, required_id};
use crate::rights::{Payload, Permit, Requester, Rule, denied};
use crate::runtime::{Caller, FunctionError, Status};

/// How long a call may decide: less than the function, so that its answer is given.
const LIMIT: Duration = Duration::from_secs(420);
/// Pairs that a call may name.
const MOST: usize = 500;

/// Of which district, and what is said of which pairs.
pub struct Request {
    district: String,
    confirm: Vec<String>,
    confirm_all: bool,
    reject: Vec<String>,
    apply: bool,
    after: Option<String>,
}

impl Payload for Request {
    fn read(data: &Json) -> Checked<Self> {
        let data = object(data)?;
        let pairs = |name: &str| {
            let pairs = optional_ids(data, name, "a pair")?.unwrap_or_default();
            match pairs.len() > MOST {
                true => Err(FunctionError::invalid(format!("{name} must have {MOST} pairs at most."))),
                false => Ok(pairs),
            }
        };
        let request = Request {
            district: required_id(data, "districtId", "a district")?,
            confirm: pairs("confirm")?,
            confirm_all: flag(data, "confirmAll")?.unwrap_or(false),
            reject: pairs("reject")?,
            apply: flag(data, "apply")?.unwrap_or(false),
            after: optional_id(data, "after", "a pair")?,
        };
        if request.confirm_all && !request.confirm.is_empty() {
            return Err(FunctionError::invalid("confirm and confirmAll can't both be given."));
        }
        match in_both(&request.confirm, &request.reject) {
            Some(_) => Err(FunctionError::invalid("confirm and reject must not name the same pair.")),
            None => Ok(request),
        }
    }
}

/// Leave to decide about the pairs of the district that the request names.
pub struct OfDistrict {
    requester: Requester,
}

#[async_trait]
impl Permit<Request> for OfDistrict {
    const RULE: Rule = Rule::DistrictAdmin;

    async fn grant(app: &App, caller: &Caller, request: &Request) -> Result<Self, FunctionError> {
        let requester = Requester::of(app, caller).await?;
        let district: OrgLists = [(OrgType::District, request.district.as_str())].into_iter().collect();
        match requester.claims.administers_all(&district) {
            true => Ok(OfDistrict { requester }),
            false => Err(denied("You don't administer this district.")),
        }
    }

    fn requester(&self) -> Option<&Requester> {
        Some(&self.requester)
    }
}

/// Handles a call: lists the pairs that wait and, if some are named, says or does what comes of deciding about them.
pub async fn roster_doubles(app: App, permit: OfDistrict, request: Request) -> Result<Json, FunctionError> {
    let requester = &permit.requester;
    let ask = Ask {
        district: &request.district,
        confirm: &request.confirm,
        confirm_all: request.confirm_all,
        reject: &request.reject,
        apply: request.apply,
        by: &requester.uid,
        rights: (!requester.claims.super_admin).then_some(&requester.claims),
        limit: LIMIT,
    };
    let decided = decide(&app, &ask, &|_| {}).await?;
    let Page { pairs, next } = waiting(&app.stores.admin, &request.district, request.after.as_deref()).await?;
    let mut answer = json!({ "status": "ok", "districtId": request.district, "pairs": pairs, "next": next });
    let decided = serde_json::to_value(decided).map_err(FunctionError::internal)?;
    if let (Json::Object(answer), Json::Object(decided)) = (&mut answer, decided) {
        answer.extend(decided);
    }
    Ok(answer)
}

impl From<DecideError> for FunctionError {
    fn from(error: DecideError) -> Self {
        match error {
            DecideError::Unknown(..) => FunctionError::new(Status::NotFound, format!("{error}.")),
            DecideError::Store(error) => error.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payloads() {
        let read = |data: Json| Request::read(&data).map(|_| ()).map_err(|error| error.message);
        for good in [
            json!({"districtId": "d"}),
            json!({"districtId": "d", "confirm": ["p"], "reject": ["q"], "apply": true, "after": "r"}),
            json!({"districtId": "d", "confirmAll": true, "confirm": []}),
        ] {
            assert_eq!(read(good.clone()), Ok(()), "{good}");
        }
        let many: Vec<String> = (0..=MOST).map(|n| n.to_string()).collect();
        for (bad, named) in [
            (json!({}), "districtId"),
            (json!({"districtId": "a/b"}), "districtId"),
            (json!({"districtId": "d", "confirm": "p"}), "confirm"),
            (json!({"districtId": "d", "confirm": many}), "confirm must have 500"),
            (json!({"districtId": "d", "reject": [5]}), "reject[0]"),
            (json!({"districtId": "d", "confirmAll": "yes"}), "confirmAll"),
            (json!({"districtId": "d", "confirmAll": true, "confirm": ["p"]}), "confirmAll"),
            (json!({"districtId": "d", "confirm": ["p"], "reject": ["p"]}), "same pair"),
            (json!({"districtId": "d", "apply": 1}), "apply"),
            (json!({"districtId": "d", "after": ""}), "after"),
        ] {
            let message = read(bad.clone()).expect_err("it's refused");
            assert!(message.contains(named), "{bad}: {message}");
        }
    }
}
