//! Pages of one program, scrape after scrape: every value differs from that of the page before.

/// Pages of a ring; the first follows the last.
const PAGES: usize = 20;
/// Bounds of a histogram: those of OpenTelemetry's convention for seconds.
const BOUNDS: [&str; 14] = [
    "0.005", "0.01", "0.025", "0.05", "0.075", "0.1", "0.25", "0.5", "0.75", "1", "2.5", "5",
    "7.5", "10",
];
/// Samples of one point of the histogram: bounds, `+Inf`, sum and count.
const HISTOGRAM_SAMPLES: usize = BOUNDS.len() + 3;

/// Pages of one program.
#[derive(Debug)]
pub struct Ring {
    pages: Vec<Vec<u8>>,
    samples: usize,
    points: usize,
}

impl Ring {
    /// Returns the page of a scrape.
    pub fn page(&self, step: usize) -> &[u8] {
        &self.pages[step % self.pages.len()]
    }

    /// Returns the number of pages.
    pub fn len(&self) -> usize {
        self.pages.len()
    }

    /// Returns whether there is no page, which never is so.
    pub fn is_empty(&self) -> bool {
        self.pages.is_empty()
    }

    /// Returns the least samples of a page.
    pub fn samples(&self) -> usize {
        self.samples
    }

    /// Returns the least data points of a page.
    pub fn points(&self) -> usize {
        self.points
    }
}

/// Pages like those of a shop under load: a histogram of requests by route, method and status with
/// three quarters of the samples, counters by article with most of the others, gauges. `gone` per
/// cent of the series of each are missing, others on each page.
pub fn shop(samples: usize, gone: usize) -> Ring {
    let (histograms, counters, gauges) = shares(samples);
    let least = |all: usize| {
        let count = |step| {
            (0..all)
                .filter(|index| is_there(*index, step, gone))
                .count()
        };
        (0..PAGES).map(count).min().unwrap_or_default()
    };
    let (histograms, others) = (least(histograms), least(counters) + least(gauges));
    Ring {
        pages: (0..PAGES)
            .map(|step| shop_page(samples, gone, step))
            .collect(),
        samples: histograms * HISTOGRAM_SAMPLES + others,
        points: histograms + others,
    }
}

/// The page of one scrape of [`shop`]; counters grow for as long as there are steps.
pub fn shop_page(samples: usize, gone: usize, step: usize) -> Vec<u8> {
    let (histograms, counters, gauges) = shares(samples);
    let there = |all: usize| (0..all).filter(|index| is_there(*index, step, gone));
    let mut page = String::new();
    page += "# HELP http_server_request_duration_seconds Duration of requests.\n";
    page += "# TYPE http_server_request_duration_seconds histogram\n";
    for index in there(histograms) {
        histogram(&mut page, (index, histograms), step);
    }
    page += "# HELP shop_articles_sold_total Articles sold, by article.\n";
    page += "# TYPE shop_articles_sold_total counter\n";
    for index in there(counters) {
        let value = 1000 + index * 37 % 5000 + step * (1 + index % 7);
        let labels = format!("article=\"{index:06}\",warehouse=\"berlin-{}\"", index % 4);
        page += &format!("shop_articles_sold_total{{{labels}}} {value}\n");
    }
    page += "# HELP shop_stock_ratio Share of the stock that is left, by article.\n";
    page += "# TYPE shop_stock_ratio gauge\n";
    for index in there(gauges) {
        let value = (index * 7919 + step * 104_729) % 100_000;
        let value = value as f64 / 1e5 + 1.0;
        page += &format!("shop_stock_ratio{{article=\"{index:06}\"}} {value}\n");
    }
    page.into_bytes()
}

/// How many points of the histogram, counters and gauges make so many samples.
fn shares(samples: usize) -> (usize, usize, usize) {
    let histograms = samples * 3 / 4 / HISTOGRAM_SAMPLES;
    let others = samples - histograms * HISTOGRAM_SAMPLES;
    let counters = others * 9 / 10;
    (histograms, counters, others - counters)
}

fn is_there(index: usize, step: usize, gone: usize) -> bool {
    (index + step * gone) % 100 >= gone
}

/// Writes a point of the histogram; client libraries sort them by labels.
fn histogram(page: &mut String, (index, all): (usize, usize), step: usize) {
    let name = "http_server_request_duration_seconds";
    let each = all.div_ceil(2);
    let (method, place) = (["GET", "POST"][index / each], index % each);
    let status = [200, 404, 500][place % 3];
    let route = format!("/api/v1/shops/{{shop}}/articles/{:04}", place / 3);
    let asked = format!("http_request_method=\"{method}\",http_route=\"{route}\"");
    let labels = format!("{asked},http_status_code=\"{status}\"");
    let mut count = 0;
    for (place, bound) in BOUNDS.iter().chain(&["+Inf"]).enumerate() {
        count += index * (place + 3) % 40 + step * (1 + place % 3);
        *page += &format!("{name}_bucket{{{labels},le=\"{bound}\"}} {count}\n");
    }
    let sum = count as f64 * 0.123_456_789_123 + step as f64 / 3.0;
    *page += &format!("{name}_sum{{{labels}}} {sum}\n");
    *page += &format!("{name}_count{{{labels}}} {count}\n");
}

/// Pages of a program that was scraped once: each number grows from page to page as far as it can.
pub fn program(page: &str) -> Ring {
    let changed = |step: usize| {
        let line = |line: &str| {
            let parts = line.rsplit_once(' ').filter(|_| !line.starts_with('#'));
            match parts.and_then(|(head, value)| Some((head, value.parse::<f64>().ok()?))) {
                Some((head, value)) => {
                    let value = value + step as f64;
                    match value.abs() >= 1e6 && value.is_finite() {
                        // As Go prints it.
                        true => format!("{head} {}\n", format!("{value:e}").replace('e', "e+")),
                        false => format!("{head} {value}\n"),
                    }
                }
                None => format!("{line}\n"),
            }
        };
        page.lines().map(line).collect::<String>().into_bytes()
    };
    let samples = page.lines().filter(|line| !line.starts_with('#')).count();
    Ring {
        pages: (0..PAGES).map(changed).collect(),
        samples,
        points: 100,
    }
}
