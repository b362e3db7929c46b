// Command go-client runs the SignalR client of github.com/philippseith/signalr against a server that has the interop hub
// of ../HUB.md.
//
//	go-client --url URL [--peer NAME] [--report FILE] [--only PART-OF-NAME] [--transports WebSockets,ServerSentEvents]
//	          [--protocols json,messagepack] [--peers FILE] [--no-skips]
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"runtime/debug"
	"strings"
	"time"

	"github.com/philippseith/signalr"
)

const limit = 30 * time.Second

type scenario struct {
	name  string
	needs []string
	run   func(*run)
}

type result struct {
	Protocol     string `json:"protocol"`
	Transport    string `json:"transport"`
	Scenario     string `json:"scenario"`
	Outcome      string `json:"outcome"`
	Reason       string `json:"reason,omitempty"`
	Milliseconds int64  `json:"milliseconds"`
}

type report struct {
	Client  string   `json:"client"`
	Peer    string   `json:"peer"`
	Results []result `json:"results"`
}

type peers struct {
	Servers map[string]map[string]string `json:"servers"`
	Clients map[string]struct {
		Lacks map[string]string `json:"lacks"`
	} `json:"clients"`
}

func main() {
	failed, err := tryAll()
	if err != nil {
		fmt.Fprintln(os.Stderr, "go-client:", err)
		os.Exit(2)
	}
	if failed {
		os.Exit(1)
	}
}

func tryAll() (failed bool, err error) {
	url := flag.String("url", "", "address of the hub")
	peer := flag.String("peer", "hubwire", "name of the server in peers.json")
	file := flag.String("report", "", "where the report goes")
	only := flag.String("only", "", "part of the names of the scenarios to run")
	transports := flag.String("transports", "WebSockets", "separated by commas")
	protocols := flag.String("protocols", "json,messagepack", "separated by commas")
	lackFile := flag.String("peers", "tests/interop/peers.json", "who cannot do what")
	noSkips := flag.Bool("no-skips", false, "also run what a peer is said to be unable to do")
	flag.Parse()
	if *url == "" {
		return false, errors.New("--url is missing")
	}
	text, err := os.ReadFile(*lackFile)
	if err != nil {
		return false, err
	}
	var known peers
	if err := json.Unmarshal(text, &known); err != nil {
		return false, fmt.Errorf("%s: %w", *lackFile, err)
	}
	server, ok := known.Servers[*peer]
	if !ok {
		return false, fmt.Errorf("--peer %s: %s does not have it", *peer, *lackFile)
	}
	lacks := []map[string]string{server, known.Clients["go"].Lacks}

	all := report{Client: "philippseith/signalr " + version() + " (Go)", Peer: *peer}
	for _, protocol := range strings.Split(*protocols, ",") {
		for _, transport := range strings.Split(*transports, ",") {
			if protocol == "messagepack" && transport == string(signalr.TransportServerSentEvents) {
				continue // It carries text only.
			}
			for _, one := range scenarios {
				if !strings.Contains(one.name, *only) {
					continue
				}
				result := result{Protocol: protocol, Transport: transport, Scenario: one.name}
				// What is lacking on one transport only is keyed by the transport and the scenario.
				reason := cannot(lacks, protocol, append([]string{transport + " " + one.name}, one.needs...))
				if reason != "" && (one.run == nil || !*noSkips) {
					result.Outcome, result.Reason = "skip", reason
				} else {
					try(one, *url, &result)
				}
				failed = failed || result.Outcome == "fail"
				all.Results = append(all.Results, result)
				fmt.Printf("%s  %-11s  %-16s  %s  %s\n", result.Outcome, protocol, transport, one.name, result.Reason)
			}
		}
	}
	if *file != "" {
		text, err := json.Marshal(all)
		if err != nil {
			return false, err
		}
		if err := os.WriteFile(*file, text, 0o644); err != nil {
			return false, err
		}
	}
	return failed || len(all.Results) == 0, nil
}

// cannot gives the reason why a scenario with these needs cannot run. A need that begins with a protocol's name counts
// only there.
func cannot(lacks []map[string]string, protocol string, needs []string) string {
	for _, need := range needs {
		if strings.HasPrefix(need, "messagepack-") && protocol != "messagepack" {
			continue
		}
		for _, lack := range lacks {
			if reason, ok := lack[need]; ok {
				return reason
			}
		}
	}
	return ""
}

func try(one scenario, url string, result *result) {
	started := time.Now()
	t := newRun(url, result.Protocol, signalr.TransportType(result.Transport))
	ended := make(chan string, 1)
	go func() {
		defer func() {
			switch reason := recover().(type) {
			case nil:
				ended <- ""
			case failure:
				ended <- string(reason)
			default:
				ended <- fmt.Sprintf("panic: %v\n%s", reason, debug.Stack())
			}
		}()
		one.run(t)
	}()
	select {
	case result.Reason = <-ended:
	case <-time.After(limit):
		result.Reason = fmt.Sprintf("not done after %v", limit)
	}
	t.close()
	result.Milliseconds = time.Since(started).Milliseconds()
	result.Outcome = "pass"
	if result.Reason != "" {
		result.Outcome = "fail"
	}
}

func version() string {
	info, _ := debug.ReadBuildInfo()
	for _, module := range info.Deps {
		if module.Path == "github.com/philippseith/signalr" {
			return module.Version
		}
	}
	return "of unknown version"
}
