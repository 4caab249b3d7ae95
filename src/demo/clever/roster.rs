//! A made-up district's roster. Nothing is stored: all data are computed from the seed and an index, so that a
//! district of any size takes no memory and is reproducible.

/// How large a district is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Schools, one at least.
    pub schools: u64,
    /// Students in all.
    pub students: u64,
    /// Students in a homeroom. Each has a reading group beside it.
    pub homeroom: u64,
    /// Whether students have contacts: one for two students.
    pub contacts: bool,
}

impl Size {
    /// A district of that many students, in schools of about 500 and homerooms of 25.
    pub fn of(students: u64) -> Size {
        Size { schools: students.div_ceil(500).max(1), students, homeroom: 25, contacts: true }
    }
}

/// The kinds of records, in the order of their IDs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// The district itself.
    District,
    /// Schools.
    School,
    /// Sections.
    Section,
    /// Users.
    User,
    /// Courses: IDs only.
    Course,
    /// Terms: IDs only.
    Term,
    /// IDs before version 3.
    Legacy,
}

const KINDS: [Kind; 7] =
    [Kind::District, Kind::School, Kind::Section, Kind::User, Kind::Course, Kind::Term, Kind::Legacy];

/// A user, by their main role.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Person {
    /// The n-th student.
    Student(u64),
    /// The n-th teacher.
    Teacher(u64),
    /// The n-th member of the staff who doesn't teach.
    Staff(u64),
    /// The n-th administrator of the district.
    Admin(u64),
    /// The n-th contact.
    Contact(u64),
    /// The n-th of the students who were added later.
    Newcomer(u64),
}

const ID_BEGINS: &str = "65a1b2c3";

/// The roster of one district.
#[derive(Clone, Copy, Debug)]
pub struct Roster {
    /// The seed from which the roster is generated.
    pub seed: u64,
    /// The district's number among several.
    pub number: u64,
    /// The district's size.
    pub size: Size,
}

impl Roster {
    /// A record's ID: 24 hexadecimal digits, which sort by kind, district and index.
    pub fn id(&self, kind: Kind, index: u64) -> String {
        format!("{ID_BEGINS}{:02x}{:04x}{index:010x}", kind as u8, self.number & 0xffff)
    }

    /// The kind and index of the record with this ID; `None` when the ID isn't one of this district's.
    pub fn read_id(&self, id: &str) -> Option<(Kind, u64)> {
        let digits = id.strip_prefix(ID_BEGINS).filter(|rest| rest.len() == 16 && rest.is_ascii())?;
        let number = |from, to| u64::from_str_radix(&digits[from..to], 16).ok();
        let kind = KINDS.get(number(0, 2)? as usize)?;
        (number(2, 6)? == self.number & 0xffff).then_some((*kind, number(6, 16)?))
    }

    /// The ID of the n-th student.
    pub fn student_id(&self, n: u64) -> String {
        self.id(Kind::User, n)
    }

    /// A reproducible random number, computed from the seed, `what` and `index`.
    pub fn dice(&self, what: &str, index: u64) -> u64 {
        let mut state = self.seed ^ self.number.rotate_left(32) ^ index.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        for byte in what.bytes() {
            state = scramble(state ^ u64::from(byte));
        }
        scramble(state)
    }

    /// True for about one in `every` indexes, at random but reproducible.
    pub fn chance(&self, what: &str, index: u64, every: u64) -> bool {
        self.dice(what, index).is_multiple_of(every)
    }

    /// Students in a full school.
    fn school_size(&self) -> u64 {
        self.size.students.div_ceil(self.size.schools.max(1)).max(1)
    }

    /// Students in a homeroom.
    fn homeroom(&self) -> u64 {
        self.size.homeroom.max(1)
    }

    /// Homerooms in each school; there are as many reading groups.
    pub fn homerooms(&self) -> u64 {
        self.school_size().div_ceil(self.homeroom())
    }

    /// How many sections there are.
    pub fn sections(&self) -> u64 {
        self.size.schools.max(1) * self.homerooms() * 2
    }

    /// How many teachers there are: one for each homeroom.
    pub fn teachers(&self) -> u64 {
        self.size.schools.max(1) * self.homerooms()
    }

    fn staff(&self) -> u64 {
        self.size.schools.max(1) * 2
    }

    fn admins(&self) -> u64 {
        2 + self.size.schools / 10
    }

    fn contacts(&self) -> u64 {
        if self.size.contacts { self.size.students.div_ceil(2) } else { 0 }
    }

    /// How many users there were at first. Newcomers' indexes begin here.
    pub fn users(&self) -> u64 {
        self.size.students + self.teachers() + self.staff() + self.admins() + self.contacts()
    }

    /// Who the user of that index is.
    pub fn person(&self, index: u64) -> Person {
        let mut rest = index;
        let people: [(u64, fn(u64) -> Person); 5] = [
            (self.size.students, Person::Student),
            (self.teachers(), Person::Teacher),
            (self.staff(), Person::Staff),
            (self.admins(), Person::Admin),
            (self.contacts(), Person::Contact),
        ];
        for (number, person) in people {
            if rest < number {
                return person(rest);
            }
            rest -= number;
        }
        Person::Newcomer(rest)
    }

    /// The index of the n-th teacher among users.
    pub fn teacher(&self, n: u64) -> u64 {
        self.size.students + n
    }

    /// The roles that a person holds: student, teacher, staff, district_admin, contact.
    pub fn holds(&self, person: Person, role: &str) -> bool {
        match (person, role) {
            (Person::Student(_) | Person::Newcomer(_), "student")
            | (Person::Teacher(_), "teacher")
            | (Person::Staff(_), "staff")
            | (Person::Admin(_), "district_admin")
            | (Person::Contact(_), "contact") => true,
            // Some users have two roles.
            (Person::Teacher(n), "staff") => n % 7 == 3,
            (Person::Admin(n), "staff") => n % 2 == 0,
            _ => false,
        }
    }

    /// The n-th student's school.
    pub fn school_of(&self, student: u64) -> u64 {
        student / self.school_size()
    }

    /// The other school that some students go to.
    pub fn second_school_of(&self, student: u64) -> Option<u64> {
        let goes = self.size.schools > 1 && student % 97 == 5;
        goes.then(|| (self.school_of(student) + 1) % self.size.schools)
    }

    /// The n-th student's homeroom, as the index of a section.
    pub fn homeroom_of(&self, student: u64) -> u64 {
        let place = student % self.school_size();
        self.school_of(student) * self.homerooms() * 2 + place / self.homeroom()
    }

    /// The school of a section.
    pub fn school_of_section(&self, section: u64) -> u64 {
        section / (self.homerooms() * 2)
    }

    /// The place of a section among the homerooms or reading groups of its school, and whether it's a homeroom.
    pub fn place_of_section(&self, section: u64) -> (u64, bool) {
        let place = section % (self.homerooms() * 2);
        (place % self.homerooms(), place < self.homerooms())
    }

    /// Grades of a school, as Clever writes them.
    pub fn grades_of(&self, school: u64) -> &'static [&'static str] {
        match school % 5 {
            2 => &["6", "7", "8"],
            4 => &["9", "10", "11", "12"],
            _ => &["Kindergarten", "1", "2", "3", "4", "5"],
        }
    }

    /// The grade of a section.
    pub fn grade_of_section(&self, section: u64) -> &'static str {
        let grades = self.grades_of(self.school_of_section(section));
        let (place, _) = self.place_of_section(section);
        grades[(place as usize * grades.len() / self.homerooms() as usize).min(grades.len() - 1)]
    }

    /// Indexes of the teachers of a section among users, the primary one first. Some sections have none.
    pub fn teachers_of(&self, section: u64) -> Vec<u64> {
        if self.chance("no teacher", section, 40) {
            return Vec::new();
        }
        let (place, _) = self.place_of_section(section);
        let first = self.school_of_section(section) * self.homerooms();
        let mut teachers = vec![self.teacher(first + place)];
        if section.is_multiple_of(5) && self.homerooms() > 1 {
            teachers.push(self.teacher(first + (place + 1) % self.homerooms()));
        }
        teachers
    }

    /// The students of a section at first.
    pub fn students_of(&self, section: u64) -> Vec<u64> {
        let (place, is_homeroom) = self.place_of_section(section);
        let school = self.school_of_section(section);
        let end = |n: u64| n.min(self.size.students);
        let (from, to) = (school * self.school_size(), end((school + 1) * self.school_size()));
        if is_homeroom {
            return (end(from + place * self.homeroom())..end(from + (place + 1) * self.homeroom()).min(to)).collect();
        }
        // Reading groups mix the homerooms.
        let mut students: Vec<u64> = (from + place..to).step_by(self.homerooms() as usize).collect();
        if place == 0 && self.size.schools > 1 {
            let other = (school + self.size.schools - 1) % self.size.schools;
            let (from, to) = (other * self.school_size(), end((other + 1) * self.school_size()));
            students.extend((from..to).filter(|student| self.second_school_of(*student) == Some(school)));
        }
        students
    }
}

/// A bijection with random-looking results (splitmix64).
pub fn scramble(state: u64) -> u64 {
    let mut z = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
