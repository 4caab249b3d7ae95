//! The rules of rights, and the result of each for the usual roles.

/// Who may call a function. The checks are in `permits.rs` and beside it; this file describes their results.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// Any signed-in caller, about their own account only.
    Itself,
    /// Anybody whose accounts are bound to a user, about that user.
    Bound,
    /// Callers about their own account, super admins about anybody's.
    ItselfOrSuperAdmin,
    /// Super admins.
    SuperAdmin,
    /// Super admins, and callers who administer every org that the request names.
    EveryOrg,
    /// Super admins, and callers who administer the district that the request names.
    DistrictAdmin,
    /// The matrix of docs/domain/rights.md#who-may-give-what.
    AboveOrgs,
    /// Super admins, and callers with the `admin` claim.
    AdminClaim,
    /// Callers with a claims document; the answer contains only what the caller may read.
    Claimed,
    /// Any signed-in caller; the answer contains only what the caller may read.
    Readable,
    /// Super admins, and callers who administer an org to which the administration is assigned, or an org above or
    /// below such an org.
    AdministrationReader,
    /// Super admins, the user themselves, and callers who administer an org that the user is in.
    UserAdmin,
}

impl Rule {
    /// All rules.
    pub const ALL: [Rule; 12] = [
        Rule::Itself,
        Rule::Bound,
        Rule::ItselfOrSuperAdmin,
        Rule::SuperAdmin,
        Rule::EveryOrg,
        Rule::DistrictAdmin,
        Rule::AboveOrgs,
        Rule::AdminClaim,
        Rule::Claimed,
        Rule::Readable,
        Rule::AdministrationReader,
        Rule::UserAdmin,
    ];

    /// For people.
    pub fn text(self) -> &'static str {
        match self {
            Rule::Itself => "anybody signed in, about themselves",
            Rule::Bound => "anybody with rights on record, about themselves",
            Rule::ItselfOrSuperAdmin => "oneself; super admins about anybody",
            Rule::SuperAdmin => "super admins",
            Rule::EveryOrg => "admins of every org named",
            Rule::DistrictAdmin => "admins of the district named",
            Rule::AboveOrgs => {
                "for a school, admins of its district; for a class, of its school or district; for a family, its own; \
                 for districts and groups, super admins"
            }
            Rule::AdminClaim => "super admins; holders of the admin claim, under parents that they administer",
            Rule::Claimed => "anybody with rights on record; the answer holds what they may read",
            Rule::Readable => "anybody signed in; the answer holds what they may read",
            Rule::AdministrationReader => "admins of an org of the administration",
            Rule::UserAdmin => "oneself; admins of an org of the user, unless the user has rights that they haven't",
        }
    }

    /// The rule with the given text.
    pub fn with_text(text: &str) -> Option<Rule> {
        Rule::ALL.into_iter().find(|rule| rule.text() == text)
    }

    /// The result of the rule for a caller of the given role, when the request is about a school.
    pub fn expects(self, role: Role) -> Expected {
        use Expected::{Allowed, Denied, Unauthenticated};
        use Role::{Admin, Caregiver, Guest, ParentAdmin, SiblingAdmin, SignedOut, Student, SuperAdmin, WrongToken};
        let allowed = match (self, role) {
            (_, SignedOut | WrongToken) => return Unauthenticated,
            (_, SuperAdmin) => true,
            (Rule::Itself | Rule::ItselfOrSuperAdmin | Rule::Readable, _) => true,
            (Rule::Claimed | Rule::Bound, role) => role != Guest,
            (Rule::SuperAdmin | Rule::AdminClaim, _) => false,
            (Rule::AboveOrgs | Rule::DistrictAdmin, role) => role == ParentAdmin,
            (_, Guest | Student | Caregiver | SiblingAdmin) => false,
            (_, Admin | ParentAdmin) => true,
        };
        if allowed { Allowed } else { Denied }
    }
}

/// The usual kinds of callers, by their relation to the school that the request is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// A caller without a token.
    SignedOut,
    /// A caller with an invalid token.
    WrongToken,
    /// A signed-in caller without a claims document.
    Guest,
    /// A student of the school, who asks about another user.
    Student,
    /// A caregiver: a caller with rights over a family.
    Caregiver,
    /// An administrator of the school.
    Admin,
    /// An administrator of another school of the same district.
    SiblingAdmin,
    /// An administrator of the school's district.
    ParentAdmin,
    /// A super admin, who may do everything.
    SuperAdmin,
}

impl Role {
    /// All roles, in the order of tables.
    pub const ALL: [Role; 9] = [
        Role::SignedOut,
        Role::WrongToken,
        Role::Guest,
        Role::Student,
        Role::Caregiver,
        Role::Admin,
        Role::SiblingAdmin,
        Role::ParentAdmin,
        Role::SuperAdmin,
    ];

    /// For people.
    pub fn text(self) -> &'static str {
        match self {
            Role::SignedOut => "signed out",
            Role::WrongToken => "invalid token",
            Role::Guest => "guest",
            Role::Student => "student",
            Role::Caregiver => "caregiver",
            Role::Admin => "admin of the school",
            Role::SiblingAdmin => "admin of another school",
            Role::ParentAdmin => "admin of its district",
            Role::SuperAdmin => "super admin",
        }
    }
}

/// The result of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// The call is allowed.
    Allowed,
    /// UNAUTHENTICATED, 401.
    Unauthenticated,
    /// PERMISSION_DENIED, 403.
    Denied,
}

impl Expected {
    /// The text for tables.
    pub fn text(self) -> &'static str {
        match self {
            Expected::Allowed => "yes",
            Expected::Unauthenticated => "401",
            Expected::Denied => "403",
        }
    }
}

/// The documentation's table of every callable and role, in Markdown.
pub fn table<'a>(callables: impl IntoIterator<Item = (&'a str, Rule)>) -> String {
    let row = |cells: Vec<&str>| format!("| {} |\n", cells.join(" | "));
    let mut text = row(["Callable", "Who"].into_iter().chain(Role::ALL.map(Role::text)).collect());
    text += &format!("|{}\n", "---|".repeat(2 + Role::ALL.len()));
    for (name, rule) in callables {
        let name = format!("`{name}`");
        let said = Role::ALL.map(|role| rule.expects(role).text());
        text += &row([name.as_str(), rule.text()].into_iter().chain(said).collect());
    }
    text
}
