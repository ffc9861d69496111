//! `davy-agent health`: asks the running agent's `/livez`.

use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;

use crate::cli::Health;
use crate::{config, reload};

/// Time to connect, and then to be answered.
const PATIENCE: Duration = Duration::from_secs(2);

/// Exit code 0 when the agent answers that it is alive, 1 when not.
///
/// # Errors
///
/// There is no admin server to ask, or it does not answer.
pub fn run(args: &Health) -> anyhow::Result<ExitCode> {
    let file = args.config.as_deref().map(reload::read).transpose()?;
    // Mistakes elsewhere are not this command's business.
    let config = config::load_degraded(file.as_ref(), &reload::variable).config;
    let address = config.admin.context("the admin server is off")?;
    anyhow::ensure!(
        address.port() != 0,
        "the admin server's port is 0: nobody can know it"
    );
    let address = reachable(address);
    let alive = is_alive(address).with_context(|| format!("asking {address}"))?;
    anyhow::ensure!(alive, "{address} does not answer 200");
    Ok(ExitCode::SUCCESS)
}

/// The address by which a listener is reached from its own machine.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    address
}

fn is_alive(address: SocketAddr) -> io::Result<bool> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    write!(
        stream,
        "GET /livez HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"
    )?;
    let mut head = [0; 12];
    stream.read_exact(&mut head)?;
    Ok(head == *b"HTTP/1.1 200")
}
