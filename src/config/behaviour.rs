//! Settings of the domain rules.

use clap::{Args, ValueEnum};

use super::ConfigError;
use super::parsers::{choice, flag, named, some, text};
use crate::app::Settings;

/// What may be changed of an administration that students have begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum EditInProgress {
    /// Nothing.
    Deny,
    /// It may be made longer and given to more people.
    Extend,
    /// Anything.
    Allow,
}

/// What handlers do, as it's set.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Behaviour")]
pub struct BehaviourArgs {
    /// What may be changed of an administration that students have begun: deny (nothing), extend
    /// (longer, more people) or allow (anything).
    #[arg(long, env = "ROAR_EDIT_IN_PROGRESS", default_value = "deny", value_parser = named("ROAR_EDIT_IN_PROGRESS", choice::<EditInProgress>))]
    pub edit_in_progress: EditInProgress,
    /// The types of users that administrations are assigned to, separated by commas.
    #[arg(long, value_name = "TYPES", env = "ROAR_ASSIGNED_USER_TYPES", default_value = "student", value_parser = named("ROAR_ASSIGNED_USER_TYPES", text))]
    pub assigned_user_types: String,
    /// Whether a promotion also brings the assessments that apply from then on; else the next change of their
    /// administration does.
    #[arg(long, value_name = "BOOL", env = "ROAR_ASSIGN_ON_PROMOTION", default_value = "false", value_parser = named("ROAR_ASSIGN_ON_PROMOTION", flag), action = clap::ArgAction::Set)]
    pub assign_on_promotion: bool,
    /// The fields of orgs that aren't copied to the assessment database, separated by commas. The list counts
    /// for an org from its next change on.
    #[arg(long, value_name = "FIELDS", env = "ROAR_MIRROR_OMIT", default_value_t = Settings::MIRROR_OMIT.join(","), value_parser = named("ROAR_MIRROR_OMIT", text))]
    pub mirror_omit: String,
    /// How much of a roster may be missing, in percent, before a sync stops and somebody has to look: of the people,
    /// the schools, the classes of a district.
    #[arg(long, value_name = "PERCENT", env = "ROAR_ROSTER_MISSING_SHARE", default_value = "20", value_parser = named("ROAR_ROSTER_MISSING_SHARE", percent))]
    pub roster_missing_share: u8,
}

fn percent(value: &str) -> Result<u8, String> {
    value.parse().ok().filter(|number| *number <= 100).ok_or_else(|| "must be a number from 0 to 100".to_owned())
}

/// Checked settings of the domain rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BehaviourConfig {
    /// What may be changed of an administration that students have begun.
    pub edit_in_progress: EditInProgress,
    /// The types of users that administrations are assigned to.
    pub assigned_user_types: Vec<String>,
    /// Whether a promotion also assigns the assessments that apply from then on.
    pub assign_on_promotion: bool,
    /// Fields of orgs that their mirrors leave out.
    pub mirror_omit: Vec<String>,
    /// The percentage of a roster that may be missing before a safety stop.
    pub roster_missing_share: u8,
}

impl BehaviourArgs {
    /// Checks the settings as a whole.
    pub fn check(&self) -> Result<BehaviourConfig, ConfigError> {
        Ok(BehaviourConfig {
            edit_in_progress: self.edit_in_progress,
            assigned_user_types: assigned_user_types(&self.assigned_user_types)?,
            assign_on_promotion: self.assign_on_promotion,
            // An empty list would mirror everything, including the contact persons of orgs. An empty variable must not
            // cause that.
            mirror_omit: some(&self.mirror_omit, "ROAR_MIRROR_OMIT must name a field")?,
            roster_missing_share: self.roster_missing_share,
        })
    }
}

/// Types of users, separated by commas.
pub fn assigned_user_types(text: &str) -> Result<Vec<String>, ConfigError> {
    some(text, "ROAR_ASSIGNED_USER_TYPES must name a type of user")
}
