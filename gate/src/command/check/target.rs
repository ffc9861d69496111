//! What is scraped: the pages of both arms, as the command line names them.

use davy_proto::Arm;
use davy_transport::PageUrl;

/// Most pages of both arms together.
const TARGETS_MAX: usize = 64;

/// Which side of the comparison an instance is on.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Side {
    /// What is compared with.
    Baseline,
    /// What is judged.
    Canary,
}

/// One page to scrape.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Target {
    pub(super) side: Side,
    pub(super) url: PageUrl,
    /// Name of the instance: host and port, and the path where two share them.
    pub(super) pod: String,
}

impl Side {
    pub(super) const ALL: [Self; 2] = [Self::Baseline, Self::Canary];

    /// The name of its arm in the evidence.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Baseline => "baseline",
            Self::Canary => "canary",
        }
    }

    /// Its arm.
    #[expect(clippy::expect_used, reason = "both names are short and not empty")]
    pub(super) fn arm(self) -> Arm {
        Arm::new(self.as_str()).expect("a name")
    }
}

/// The targets of the command line.
///
/// # Errors
///
/// All mistakes, one a line.
pub(super) fn targets(baseline: &[String], canary: &[String]) -> Result<Vec<Target>, String> {
    let (mut found, mut mistakes) = (Vec::<Target>::new(), Vec::new());
    for (side, urls) in [(Side::Baseline, baseline), (Side::Canary, canary)] {
        for text in urls {
            let flag = side.as_str();
            match PageUrl::parse(text) {
                Err(what) => mistakes.push(format!("--{flag} {text}: {what}")),
                Ok(url) => match found.iter().find(|known| known.url == url) {
                    Some(known) => {
                        let other = known.side.as_str();
                        mistakes.push(format!("--{flag} {text}: is given as --{other} already"));
                    }
                    None => found.push(Target {
                        side,
                        pod: url.host_and_port(),
                        url,
                    }),
                },
            }
        }
    }
    if found.len() > TARGETS_MAX {
        mistakes.push(format!("at most {TARGETS_MAX} pages can be scraped"));
    }
    if mistakes.is_empty() {
        Ok(told_apart(&found))
    } else {
        Err(mistakes.join("\n"))
    }
}

/// Instances behind one host and port are told apart by the path.
fn told_apart(targets: &[Target]) -> Vec<Target> {
    let same = |pod: &str| targets.iter().filter(|other| other.pod == pod).count();
    let named = targets.iter().map(|target| {
        let path = target.url.path();
        let pod = match same(&target.pod) {
            1 => target.pod.clone(),
            _ => format!("{}{path}", target.pod),
        };
        Target {
            pod,
            ..target.clone()
        }
    });
    named.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(baseline: &[&str], canary: &[&str], expected: Result<&[&str], &str>) {
        let owned = |urls: &[&str]| urls.iter().map(|&url| url.to_owned()).collect::<Vec<_>>();
        let found = targets(&owned(baseline), &owned(canary));
        let shown = found.map(|targets| {
            let show = |target: &Target| format!("{} {}", target.pod, target.url);
            targets.iter().map(show).collect::<Vec<_>>()
        });
        let expected = expected.map(owned).map_err(str::to_owned);
        assert_eq!(shown, expected);
    }

    #[test]
    fn urls_are_read_or_refused_together() {
        check(
            &["http://h:1/metrics", "http://h"],
            &["http://[::1]:2/m?x=1", "https://h/m"],
            Ok(&[
                "h:1 http://h:1/metrics",
                "h:80 http://h/metrics",
                "[::1]:2 http://[::1]:2/m?x=1",
                "h:443 https://h/m",
            ]),
        );
        check(
            &["http://h/a"],
            &["http://h/b"],
            Ok(&["h:80/a http://h/a", "h:80/b http://h/b"]),
        );
        check(
            &["h:1", "ftp://h/", "http://h:x/", "http://a:b@h/"],
            &["", "/metrics", "http://h:99999/metrics"],
            Err(
                "--baseline h:1: is not a URL such as http://127.0.0.1:8080/metrics\n\
                 --baseline ftp://h/: is neither http nor https\n\
                 --baseline http://h:x/: is not a URL such as http://127.0.0.1:8080/metrics\n\
                 --baseline http://a:b@h/: a name and password in a URL can't be used\n\
                 --canary : is not a URL such as http://127.0.0.1:8080/metrics\n\
                 --canary /metrics: is not a URL such as http://127.0.0.1:8080/metrics\n\
                 --canary http://h:99999/metrics: is not a URL such as \
                 http://127.0.0.1:8080/metrics",
            ),
        );
        check(
            &["http://h/m"],
            &["http://h/m"],
            Err("--canary http://h/m: is given as --baseline already"),
        );
    }
}
