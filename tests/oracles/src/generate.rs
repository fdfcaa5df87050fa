//! Documents that try out what canonicalisation is about: namespaces declared, declared again and taken
//! back, attributes in and out of them, references, line ends, CDATA, comments, instructions, odd spacing.

/// The seed of this run: `TRUC_SEED`, else `usual`. Printed, so that a failure can be repeated.
#[must_use]
pub fn seed(usual: u64) -> u64 {
    let seed = std::env::var("TRUC_SEED")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(usual);
    eprintln!("TRUC_SEED={seed}");
    seed
}

/// A source of documents: the same for the same seed.
#[derive(Debug, Clone)]
pub struct Generator {
    state: u64,
    plain_line_ends: bool,
}

const PREFIXES: [&str; 5] = ["p", "q", "a", "b1", "ns-x"];
const URIS: [&str; 6] = [
    "urn:a",
    "urn:b",
    "http://example.org/x",
    "http://example.org/x?y=1#z",
    "http://www.mic.gov.vn/TBT/QCVN_102_2016",
    "tag:x,2026:y",
];
const NAMES: [&str; 7] = ["e", "OrganId", "To", "văn-bản", "x.y", "_z", "e1"];
const TEXTS: [&str; 16] = [
    "Ủy ban nhân dân tỉnh",
    "a b",
    " ",
    "\n  ",
    "\r\n",
    "\r",
    "\t",
    "&lt;tag&gt;",
    "&amp;amp;",
    "&#13;",
    "&#x9;&#xA;",
    "> \" '",
    "&quot;&apos;",
    "\u{1F600}\u{85}\u{2028}",
    "]] >",
    "&#xE1;&#x1F600;",
];

impl Generator {
    /// From a seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self {
            state: seed,
            plain_line_ends: false,
        }
    }

    /// Without line ends and tabs written literally in attribute values, and without carriage returns
    /// anywhere.
    #[must_use]
    pub const fn with_plain_line_ends(mut self) -> Self {
        self.plain_line_ends = true;
        self
    }

    /// The next number (SplitMix64).
    pub fn number(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// One below `bound`.
    pub fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.number() % bound as u64).expect("below a usize")
    }

    /// One of these.
    pub fn pick<'t, T: ?Sized>(&mut self, of: &[&'t T]) -> &'t T {
        of[self.below(of.len())]
    }

    fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    /// A whole document.
    pub fn document(&mut self) -> String {
        let mut text = String::new();
        if self.one_in(12) {
            text.push('\u{FEFF}');
        }
        let declaration = self.pick(&[
            "",
            "",
            "<?xml version=\"1.0\"?>",
            "<?xml version='1.0' encoding='utf-8' ?>\r\n",
            "<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\"?>\n",
        ]);
        text.push_str(declaration);
        self.asides(&mut text);
        let element = self.element(&mut Vec::new(), 0);
        text.push_str(&element);
        self.asides(&mut text);
        if self.plain_line_ends {
            text = text.replace('\r', "");
        }
        text
    }

    /// Elements to put inside others; `depth` counts against a bound.
    pub fn content(&mut self) -> String {
        let mut text = String::new();
        for _ in 0..=self.below(3) {
            let element = self.element(&mut Vec::new(), 1);
            text.push_str(&element);
        }
        if self.plain_line_ends {
            text = text.replace('\r', "");
        }
        text
    }

    /// Comments, instructions and white space outside the root.
    fn asides(&mut self, text: &mut String) {
        for _ in 0..self.below(3) {
            text.push_str(self.pick(&[
                "\n",
                " \r\n",
                "<?go on  with\r\nit ?>",
                "<?x?>",
                "<!-- out\r\nside -->",
            ]));
        }
    }

    fn element(&mut self, scope: &mut Vec<(String, String)>, depth: usize) -> String {
        let outer = scope.len();
        let mut declarations: Vec<(String, String)> = Vec::new();
        for _ in 0..self.below(3) {
            let prefix = self.pick(&["", "p", "q", "a", "b1", "ns-x"]).to_owned();
            if declarations.iter().any(|(known, _)| *known == prefix) {
                continue;
            }
            let uri = if prefix.is_empty() && self.one_in(3) {
                String::new()
            } else {
                self.pick(&URIS).to_owned()
            };
            declarations.push((prefix, uri));
        }
        scope.extend(declarations.iter().cloned());
        let meaning = |prefix: &str| {
            let found = scope.iter().rev().find(|(known, _)| known == prefix);
            found.map(|(_, uri)| uri.clone()).filter(|uri| !uri.is_empty())
        };
        let bound: Vec<&str> = PREFIXES.into_iter().filter(|p| meaning(p).is_some()).collect();

        let name = self.name(&bound);
        let mut attributes: Vec<(String, String, String)> = Vec::new();
        for _ in 0..self.below(4) {
            let attribute = match self.below(8) {
                0 => self.pick(&["xml:lang", "xml:space", "xml:base"]).to_owned(),
                _ => self.name(&bound),
            };
            let (prefix, local) = attribute.split_once(':').unwrap_or(("", &attribute));
            let uri = if prefix.is_empty() { None } else { meaning(prefix) };
            let expanded = format!("{}|{local}", uri.unwrap_or_default());
            if attributes
                .iter()
                .any(|(_, known, _)| *known == expanded || *known == attribute)
            {
                continue;
            }
            let value = if prefix == "xml" {
                self.pick(&["vi", "preserve", "http://example.org/"]).to_owned()
            } else {
                self.value()
            };
            attributes.push((attribute, expanded, value));
        }
        let mut pieces: Vec<(String, String)> = declarations
            .into_iter()
            .map(|(prefix, uri)| match prefix.as_str() {
                "" => ("xmlns".to_owned(), uri),
                prefix => (format!("xmlns:{prefix}"), uri),
            })
            .chain(attributes.into_iter().map(|(name, _, value)| (name, value)))
            .collect();
        for index in (1..pieces.len()).rev() {
            let other = self.below(index + 1);
            pieces.swap(index, other);
        }

        let mut text = format!("<{name}");
        for (name, value) in pieces {
            let space = self.pick(&[" ", " ", "\n ", "\t", "\r\n"]);
            let equals = self.pick(&["=", "=", " = ", "=\n"]);
            let quote = if value.contains('"') {
                '\''
            } else if value.contains('\'') || self.one_in(2) {
                '"'
            } else {
                '\''
            };
            text.push_str(&format!("{space}{name}{equals}{quote}{value}{quote}"));
        }
        if self.one_in(5) {
            text.push_str(self.pick(&["/>", " />"]));
        } else {
            text.push_str(self.pick(&[">", " >", "\n>"]));
            for _ in 0..self.below(4) {
                let child = self.child(scope, depth);
                text.push_str(&child);
            }
            text.push_str(&format!("</{name}{}>", self.pick(&["", "", " ", "\r\n"])));
        }
        scope.truncate(outer);
        text
    }

    fn child(&mut self, scope: &mut Vec<(String, String)>, depth: usize) -> String {
        match self.below(10) {
            0..=3 if depth < 6 => self.element(scope, depth + 1),
            0..=6 => (0..=self.below(3)).map(|_| self.pick(&TEXTS)).collect(),
            7 => self
                .pick(&["<![CDATA[]]>", "<![CDATA[<a>&amp;\r\n]]]]>", "<![CDATA[>\"đ]]>"])
                .to_owned(),
            8 => self
                .pick(&["<!---->", "<!-- a\r\nb & < -->", "<!-- - -->"])
                .to_owned(),
            _ => self.pick(&["<?p?>", "<?p  d\r e ?>", "<?p-i <&?>"]).to_owned(),
        }
    }

    fn name(&mut self, bound: &[&str]) -> String {
        let local = self.pick(&NAMES);
        if bound.is_empty() || self.one_in(2) {
            local.to_owned()
        } else {
            format!("{}:{local}", self.pick(bound))
        }
    }

    fn value(&mut self) -> String {
        let usable: Vec<&str> = TEXTS
            .into_iter()
            .chain(["", "it's", "say \"x\""])
            .filter(|text| !(text.contains('"') && text.contains('\'')))
            .filter(|text| !self.plain_line_ends || !text.contains(['\n', '\r', '\t']))
            .collect();
        let value: String = (0..=self.below(2)).map(|_| self.pick(&usable)).collect();
        if value.contains('"') && value.contains('\'') {
            value.replace('"', "&quot;")
        } else {
            value
        }
    }
}
