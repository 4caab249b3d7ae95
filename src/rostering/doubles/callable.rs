//! The callable `rosterDoubles`.

use std::time::Duration;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};

use super::decide::in_both;
use super::{Ask, DecideError, Decided, Double, Page, decide, waiting};
use crate::app::App;
use crate::documents::doubles::agrees;
use crate::orgs::{OrgLists, OrgType};
use crate::payload::{Checked, Id, Ids, kinds};
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

/// Who is new in a roster gets a user of their own. Where a user made by hand shows the same address, name and date of
/// birth, which administrators can edit, the two wait as a pair for somebody's yes. Lists the pairs that wait, and says what
/// comes of confirming or rejecting some; with apply, does it. Repeated, it does the rest.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct RosterDoubles {
    /// The roster's district.
    district_id: Id<kinds::District>,
    /// Pairs that are one person; 500 at most.
    #[schemars(length(max = MOST))]
    confirm: Option<Ids<kinds::Pair>>,
    /// All pairs that wait are one person each; unsure ones aside.
    confirm_all: Option<bool>,
    /// Pairs that are two people; 500 at most.
    #[schemars(length(max = MOST))]
    reject: Option<Ids<kinds::Pair>>,
    /// Do it. Default: show what it would come to.
    apply: Option<bool>,
    /// List the pairs after this one.
    after: Option<Id<kinds::Pair>>,
}

/// What came of it.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct Answer {
    /// The district.
    pub district_id: Id,
    /// Pairs that wait: a hundred at most.
    pub pairs: Vec<Double>,
    /// List those after this pair.
    pub next: Option<String>,
    /// What was decided.
    #[serde(flatten)]
    pub decided: Decided,
}

fn pairs(sent: Option<Ids<kinds::Pair>>, name: &str) -> Checked<Vec<String>> {
    let pairs = sent.map(|sent| sent.ids).unwrap_or_default();
    match pairs.len() > MOST {
        true => Err(FunctionError::invalid(format!("{name} must have {MOST} pairs at most."))),
        false => Ok(pairs),
    }
}

impl Payload for Request {
    type Sent = RosterDoubles;
    type Answer = Answer;
    const REFUSALS: &'static [(Status, &'static str)] = &[(Status::NotFound, "A pair that's named doesn't wait.")];

    fn check(sent: RosterDoubles) -> Checked<Self> {
        let request = Request {
            district: sent.district_id.into_string(),
            confirm: pairs(sent.confirm, "confirm")?,
            confirm_all: sent.confirm_all.unwrap_or(false),
            reject: pairs(sent.reject, "reject")?,
            apply: sent.apply.unwrap_or(false),
            after: sent.after.map(Id::into_string),
        };
        if request.confirm_all && !request.confirm.is_empty() {
            return Err(FunctionError::invalid("confirm and confirmAll can't both be given."));
        }
        match in_both(&request.confirm, &request.reject) {
            Some(_) => Err(FunctionError::invalid("confirm and reject must not name the same pair.")),
            None => Ok(request),
        }
    }

    fn example() -> (Json, Answer) {
        let double = Double {
            pair: "9b1f0c6d5e7a48329b1f0c6d5e7a4832".to_owned(),
            provider_id: "58da8c63d7dc0ca068000001".to_owned(),
            rostered: "student-1".to_owned(),
            known: "student-2".to_owned(),
            agrees: [agrees::EMAIL, agrees::NAME, agrees::DOB].map(str::to_owned).into(),
            is_one_of_several: false,
            found_at: "2026-09-01T12:00:00Z".parse().unwrap_or_default(),
        };
        let decided = Decided { confirmed: 1, assignments: 1, runs: 3, waiting: 1, ..Decided::default() };
        let answer = Answer { district_id: "district-1".into(), pairs: vec![double], next: None, decided };
        (json!({ "districtId": "district-1", "confirmAll": true }), answer)
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
pub async fn roster_doubles(app: App, permit: OfDistrict, request: Request) -> Result<Answer, FunctionError> {
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
    Ok(Answer { district_id: request.district.into(), pairs, next, decided })
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
