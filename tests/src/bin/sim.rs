//! Simulates clients and a server with whatever can go wrong: `cargo xtask sim`.

use std::process::ExitCode;
use std::time::Instant;

use e2e::sim::{Mutation, Summary, Violation, Weather, run, trace};

const STEPS: u64 = 3000;

fn main() -> ExitCode {
    let mut seeds = 100;
    let mut only = None;
    let mut at_least = 0;
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let number = args.next().and_then(|number| number.parse::<u64>().ok());
        match (arg.as_str(), number) {
            ("--seeds", Some(number)) => seeds = number,
            ("--seed", Some(number)) => only = Some(number),
            ("--at-least", Some(number)) => at_least = number,
            _ => {
                eprintln!("sim [--seeds N] [--seed S] [--at-least MESSAGES]");
                return ExitCode::FAILURE;
            }
        }
    }
    let range = only.map_or(0..seeds, |seed| seed..seed + 1);
    let started = Instant::now();
    let mut total = Summary::default();
    let mut failed = Vec::new();
    for seed in range {
        let run = if only.is_some() { trace } else { run };
        let summary = run(seed, STEPS, Weather::default(), Mutation::None);
        total.messages += summary.messages;
        total.gaps += summary.gaps;
        total.repetitions += summary.repetitions;
        for violation in &summary.violations {
            eprintln!("seed {seed}: {violation:?}");
        }
        if !summary.violations.is_empty() {
            failed.push(seed);
        }
        total.violations.extend(summary.violations);
    }
    let count =
        |wanted: fn(&Violation) -> bool| total.violations.iter().filter(|found| wanted(found)).count();
    let seconds = started.elapsed().as_secs_f64();
    println!("messages simulated   {}", total.messages);
    println!("lost                 {}", count(|found| matches!(found, Violation::Lost(_))));
    println!("duplicated           {}", count(|found| matches!(found, Violation::Duplicated(_))));
    println!("reordered            {}", count(|found| matches!(found, Violation::Reordered(_))));
    println!("unreported gaps      {}", count(|found| matches!(found, Violation::SilentGap(_))));
    println!("wrong objects        {}", count(|found| matches!(found, Violation::Corrupt(_))));
    println!("other broken rules   {}", count(|found| matches!(found, Violation::Broken(_))));
    println!("reported gaps        {}", total.gaps);
    println!("repeated             {}", total.repetitions);
    println!("messages per second  {:.0}", total.messages as f64 / seconds);
    if total.messages < at_least {
        println!("that is less than {at_least} messages");
        return ExitCode::FAILURE;
    }
    if failed.is_empty() {
        return ExitCode::SUCCESS;
    }
    println!("seeds that failed    {failed:?}");
    ExitCode::FAILURE
}
