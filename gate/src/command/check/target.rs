//! What is scraped: the pages of both arms, as the command line names them.

use davy_proto::Arm;
use http::Uri;

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
    pub(super) url: Uri,
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

impl Target {
    /// Whether the page is on this machine, where compressing it costs the app CPU and saves
    /// nobody anything.
    pub(super) fn is_local(&self) -> bool {
        let host = self.url.host().unwrap_or_default().trim_matches(['[', ']']);
        let address = host.parse::<std::net::IpAddr>();
        host == "localhost" || address.is_ok_and(|address| address.is_loopback())
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
            match read(text) {
                Err(what) => mistakes.push(format!("--{flag} {text}: {what}")),
                Ok(url) => match found.iter().find(|known| known.url == url) {
                    Some(known) => {
                        let other = known.side.as_str();
                        mistakes.push(format!("--{flag} {text}: is given as --{other} already"));
                    }
                    None => found.push(Target {
                        side,
                        pod: name(&url),
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

fn read(text: &str) -> Result<Uri, &'static str> {
    const FORM: &str = "is not a URL such as http://127.0.0.1:8080/metrics";
    let url: Uri = text.parse().map_err(|_| FORM)?;
    let authority = url.authority().ok_or(FORM)?;
    if url.host().is_none_or(str::is_empty) || url.scheme().is_none() {
        return Err(FORM);
    }
    if url.scheme_str() != Some("http") {
        return Err("pages are scraped over http");
    }
    if authority.as_str().contains('@') {
        return Err("a name and password in a URL can't be used");
    }
    // The parser takes any text for a port, and says of none that there is none.
    let after_host = authority
        .as_str()
        .strip_prefix(authority.host())
        .unwrap_or_default();
    let port = after_host.strip_prefix(':').map(str::parse::<u16>);
    if !after_host.is_empty() && !matches!(port, Some(Ok(1..))) {
        return Err(FORM);
    }
    if text.ends_with(authority.as_str()) {
        return format!("{text}/metrics").parse().map_err(|_| FORM);
    }
    Ok(url)
}

fn name(url: &Uri) -> String {
    format!(
        "{}:{}",
        url.host().unwrap_or_default(),
        url.port_u16().unwrap_or(80)
    )
}

/// Instances behind one host and port are told apart by the path.
fn told_apart(targets: &[Target]) -> Vec<Target> {
    let same = |pod: &str| targets.iter().filter(|other| other.pod == pod).count();
    let named = targets.iter().map(|target| {
        let path = target.url.path_and_query().map_or("", |path| path.as_str());
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
            &["http://[::1]:2/m?x=1"],
            Ok(&[
                "h:1 http://h:1/metrics",
                "h:80 http://h/metrics",
                "[::1]:2 http://[::1]:2/m?x=1",
            ]),
        );
        check(
            &["http://h/a"],
            &["http://h/b"],
            Ok(&["h:80/a http://h/a", "h:80/b http://h/b"]),
        );
        check(
            &["h:1", "https://h/", "http://h:x/", "http://a:b@h/"],
            &["", "/metrics", "http://h:99999/metrics"],
            Err(
                "--baseline h:1: is not a URL such as http://127.0.0.1:8080/metrics\n\
                 --baseline https://h/: pages are scraped over http\n\
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
