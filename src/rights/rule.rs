//! The rules of rights, and what each says to the usual roles.

/// Who may call a function. What a rule looks at is in `permits.rs`; here is what it comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// Anybody signed in, about themselves only.
    Itself,
    /// Anybody whose accounts are bound to a user, about that user.
    Bound,
    /// Oneself about oneself, super admins about anybody.
    ItselfOrSuperAdmin,
    /// Super admins.
    SuperAdmin,
    /// Super admins, and who administers every org named.
    EveryOrg,
    /// Super admins, and who administers the district named.
    DistrictAdmin,
    /// The matrix of docs/domain/rights.md#who-may-give-what.
    AboveOrgs,
    /// Super admins, and who has the `admin` claim.
    AdminClaim,
    /// Whoever has a claims document; the answer holds what they may read.
    Claimed,
    /// Anybody signed in; the answer holds what they may read.
    Readable,
    /// Super admins, and who administers an org that the administration is assigned to, or that's above or
    /// below such an org.
    AdministrationReader,
    /// Super admins, oneself, and who administers an org that the user is in.
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

    /// The rule with that text.
    pub fn with_text(text: &str) -> Option<Rule> {
        Rule::ALL.into_iter().find(|rule| rule.text() == text)
    }

    /// What the rule says to a role whose relation to the request's school is the role's name.
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

/// The usual kinds of callers, of a request that is about a school.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Without a token.
    SignedOut,
    /// With a token that doesn't hold.
    WrongToken,
    /// Signed in, without rights on record.
    Guest,
    /// A student of the school, asking about somebody else.
    Student,
    /// With a family.
    Caregiver,
    /// Of the school.
    Admin,
    /// Of another school of the district.
    SiblingAdmin,
    /// Of the district.
    ParentAdmin,
    /// Of everything.
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

/// What a call comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// It's done.
    Allowed,
    /// UNAUTHENTICATED, 401.
    Unauthenticated,
    /// PERMISSION_DENIED, 403.
    Denied,
}

impl Expected {
    /// For tables.
    pub fn text(self) -> &'static str {
        match self {
            Expected::Allowed => "yes",
            Expected::Unauthenticated => "401",
            Expected::Denied => "403",
        }
    }
}

/// The table of every callable and role, in Markdown: what the documentation shows.
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
