//! `demo`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::wiring::Built;
use super::{CliError, serve, wiring};
use crate::config::Config;
use crate::context::Context;
use crate::demo::clever::{self, FakeClever};
use crate::demo::district::ADMIN_UID;
use crate::demo::roster::SUPER_UID;
use crate::demo::{Stage, bar};
use crate::runtime::auth::DevelopmentKey;

/// Shows the main job on an embedded store, then serves.
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// How many students the district has.
    #[arg(long, default_value = "1000", value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub students: u32,
    /// Keep the documents in this directory, which must be empty. Default: a temporary one, gone at the end.
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// The address to serve on. Port 0 takes a free one.
    #[arg(long, value_name = "ADDRESS:PORT", env = "ROAR_LISTEN", default_value = "127.0.0.1:8080")]
    pub listen: SocketAddr,
    /// Show a district whose roster comes from Clever: a made-up one, on a free port.
    #[arg(long)]
    pub clever: bool,
    /// End when the demonstration is over, instead of serving.
    #[arg(long)]
    pub exit: bool,
}

pub async fn run(args: &DemoArgs) -> Result<(), CliError> {
    let stop = serve::stopping()?;
    let temporary;
    let directory = match &args.data_dir {
        Some(directory) => {
            let is_used = directory.read_dir().is_ok_and(|mut entries| entries.next().is_some());
            if is_used {
                return Err(CliError::Other(format!("the directory {} isn't empty", directory.display())));
            }
            directory.clone()
        }
        None => {
            temporary = tempfile::tempdir().map_err(|error| serve::failed("no temporary directory", error))?;
            temporary.path().to_owned()
        }
    };
    let mut config = Config::demonstration(args.listen, directory.clone())?;
    let key = wiring::development_key(&directory, &Context::system())?;
    let size = clever::Size::of(u64::from(args.students));
    let fake = args.clever.then(|| FakeClever::new(clever::Options::of(size), Context::system()));
    let mut served = None;
    if let Some(fake) = &fake {
        let there = fake.serve().await.map_err(|error| serve::failed("no port for Clever", error))?;
        config.clever = Some(there.settings());
        served = Some(there);
    }
    let built = wiring::build(&config).await?;
    let server = serve::bind(&built, &config).await?;
    let url = format!("http://{}", server.address().map_err(|error| serve::failed("can't tell the address", error))?);
    let dispatchers = built.start();
    let serving = tokio::spawn(server.run(stop.clone().cancelled_owned()));
    let left = match &args.data_dir {
        Some(directory) => format!("what was written so far is in {}.", directory.display()),
        None => "the temporary data are gone.".to_owned(),
    };
    let shown = serve::until_stopped(&stop, &left, show(&built, &config, &url, &key, args, fake.as_ref())).await;
    if shown.is_ok() && !args.exit {
        let token = format!("roar-functions token --data-dir '{}'", directory.display());
        println!("Serving on {url} until you stop it (Ctrl-C). For example:");
        println!();
        if let Some(served) = &served {
            println!(
                "  curl -s {}_control -d '{{\"action\":\"remove\",\"id\":\"…\"}}'   # Clever loses somebody",
                served.url()
            );
            println!("  TOKEN=$({token} --uid {SUPER_UID})");
            println!(
                "  curl -sN {url}/syncCleverOrgs -H \"Authorization: Bearer $TOKEN\" -H 'Accept: text/event-stream' \\"
            );
            println!("    -H 'Content-Type: application/json' -d '{{\"data\":{{\"shallow\":false}}}}'");
            println!();
        }
        println!("  TOKEN=$({token} --uid {})", if args.clever { SUPER_UID } else { ADMIN_UID });
        println!("  curl -s {url}/createAdministration -H \"Authorization: Bearer $TOKEN\" \\");
        println!("    -H 'Content-Type: application/json' -d '{{\"data\":{{\"name\":\"Spring\"}}}}'");
        serving
            .await
            .map_err(|error| CliError::Other(error.to_string()))?
            .map_err(|error| serve::failed("the server failed", error))?;
    }
    let stopping = futures::future::join_all(dispatchers.into_iter().map(|dispatcher| dispatcher.stop()));
    // The work of handlers that are interrupted is discarded, so there's no need to wait for their end.
    let _ = tokio::time::timeout(if shown.is_ok() { Duration::MAX } else { A_MOMENT }, stopping).await;
    shown
}

/// How long an interrupted demonstration waits for its handlers to stop.
const A_MOMENT: Duration = Duration::from_millis(500);
/// The interval at which the number of pending events is checked.
const LOOK: Duration = Duration::from_millis(100);

/// Waits until no event and no task is pending, and meanwhile shows the number of pending events.
async fn settled(built: &Built) {
    let left = || built.embedded.iter().map(|store| store.pending_events()).sum::<u64>();
    let all = left();
    let bar = bar("what follows from it", usize::try_from(all).unwrap_or(usize::MAX));
    let mut settled = std::pin::pin!(built.settled());
    while tokio::time::timeout(LOOK, &mut settled).await.is_err() {
        let left = left();
        bar.set_length(all.max(left));
        bar.set_position(all.saturating_sub(left));
    }
    bar.finish_and_clear();
}

async fn show(
    built: &Built,
    config: &Config,
    url: &str,
    key: &DevelopmentKey,
    args: &DemoArgs,
    clever: Option<&FakeClever>,
) -> Result<(), CliError> {
    let (service, project) = (&built.service, config.store.admin.project.as_str());
    let stage = Stage { service, url, key, project, students: args.students as usize };
    let settled = async || settled(built).await;
    let shown = match clever {
        Some(fake) => stage.show_clever(&fake.district(0), settled).await,
        None => stage.show(settled).await,
    };
    shown.map_err(|error| CliError::Other(error.to_string()))
}
