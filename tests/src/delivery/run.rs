//! The whole run: what is done to the two processes, and what it came to.

use std::path::Path;
use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until};

use super::notes::now;
use super::processes::{Process, notes_of};
use super::table::{self, Blow, Harm};
use super::{Kind, Noted, Notes, Result, Verdict, judge, needed};
use crate::proxy::Proxy;
use crate::recovery::free_address;

/// How long everything that was accepted may take to arrive, once the connection is left alone.
const CALM: Duration = Duration::from_secs(60);
/// How often that is looked at.
const LOOK: Duration = Duration::from_millis(250);

/// Cuts the connection every so many seconds, for so many seconds; kills each process once; prints what it came to; and fails
/// if anything was lost, duplicated or out of order.
///
/// # Errors
/// What is wrong.
pub async fn run(seconds: u64, every: u64, folder: &Path) -> Result<()> {
    let server_address = free_address()?;
    let mut server = Process::server(server_address, folder).await?;
    let proxy = needed("proxy", Proxy::start(server_address).await)?;
    let mut client = Process::client(proxy.address(), folder).await?;
    let began = Instant::now();
    let (mut blows, mut missed) = (Vec::new(), 0);
    for second in 1..=seconds {
        sleep_until(began + Duration::from_secs(second)).await;
        if second.is_multiple_of(every.max(1)) {
            let at = now();
            // With connections that are being made, too; without one there is nothing to come back from.
            match proxy.cut_all() {
                0 => missed += 1,
                _ => blows.push(Blow { harm: Harm::Cut, at }),
            }
        }
        // Between two cuts.
        sleep_until(began + Duration::from_millis(second * 1_000 + 500)).await;
        if second == seconds.div_ceil(3) {
            blows.push(Blow { harm: Harm::ServerKilled, at: now() });
            server = server.kill_and_restart().await?;
        } else if second == (seconds * 2).div_ceil(3) {
            blows.push(Blow { harm: Harm::ClientKilled, at: now() });
            client = client.kill_and_restart().await?;
        }
        if server.has_ended()? || client.has_ended()? {
            return Err("a process ended by itself".to_owned());
        }
    }
    // Left alone for a moment, so that the stream goes on behind what is missing.
    sleep(Duration::from_secs(2)).await;
    server.enough().await?;
    let end = Instant::now() + CALM;
    loop {
        sleep(LOOK).await;
        let (verdict, _) = verdict(folder)?;
        if (verdict.lost.is_empty() && verdict.silently_missing.is_empty()) || Instant::now() > end {
            break;
        }
    }
    client.stop().await?;
    server.stop().await?;
    let (verdict, notes) = verdict(folder)?;
    println!(
        "{seconds} s; a cut every {every} s, of which {missed} found no connection; both processes killed once"
    );
    println!(
        "the client makes the next connection without a pause\n\n{}\n{}",
        table::verdict(&verdict),
        table::recoveries(&blows, &notes)
    );
    let mut faults: Vec<String> =
        verdict.faults().iter().map(|(what, numbers)| format!("{what}: {}", table::some(numbers))).collect();
    if verdict.accepted == 0 || verdict.streamed == 0 || verdict.completed == 0 {
        faults.push("nothing was at stake".to_owned());
    }
    if let Some(blow) = blows.iter().find(|blow| blow.recovery(&notes).is_none()) {
        faults.push(format!("nothing came any more after this: {}", blow.harm));
    }
    if faults.is_empty() { Ok(()) } else { Err(faults.join("\ndelivery: ")) }
}

/// The verdict so far, and what the client wrote.
fn verdict(folder: &Path) -> Result<(Verdict, Vec<Noted>)> {
    let read = |who| Notes::read(&notes_of(folder, who));
    // The client's first: what it handled while the server's are read would be judged as invented.
    let (client, server) = (read("client")?, read("server")?);
    let facts = |notes: &[Noted]| notes.iter().map(|noted| noted.fact).collect::<Vec<_>>();
    Ok((judge(&facts(&server), &facts(&client)), client))
}

impl Blow {
    /// Until the client was connected again and handled a message. `None` if that never happened.
    pub(super) fn recovery(&self, notes: &[Noted]) -> Option<Duration> {
        let later = notes.iter().skip_while(|noted| noted.at <= self.at);
        let back = later.skip_while(|noted| noted.fact.kind != Kind::Connected);
        let mut handled = back.filter(|noted| noted.fact.kind == Kind::Handled);
        handled.next().map(|noted| Duration::from_micros(noted.at - self.at))
    }
}
