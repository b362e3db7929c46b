package dev.hubwire.interop;

import static dev.hubwire.interop.Run.json;

import com.microsoft.signalr.HubConnection;
import io.reactivex.rxjava3.core.Observable;
import io.reactivex.rxjava3.subjects.ReplaySubject;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.IntStream;

/** Streams down, up, and both ways. */
final class Streams {
    private Streams() {}

    static List<Scenario> all() {
        var all = new ArrayList<Scenario>();
        all.add(counted("stream-complete", 5));
        all.add(counted("stream-empty", 0));
        all.add(counted("stream-1000", 1000));
        all.add(Scenario.of("stream-three-at-once", t -> {
            var hub = t.connect();
            var lengths = List.of(3, 6, 9);
            var streams = lengths.stream().map(length -> hub.stream(Integer.class, "Count", length, 5)).toList();
            for (var n = 0; n < 3; n++) {
                t.equal(t.drain(streams.get(n)), whole(lengths.get(n)), "stream " + n);
            }
        }));
        all.add(Scenario.of("stream-and-invoke", t -> {
            var hub = t.connect();
            var stream = hub.stream(Integer.class, "Count", 20, 20);
            t.alive(hub);
            t.equal(t.drain(stream), whole(20), "stream");
        }));
        all.add(Scenario.of("stream-fails-midway", t -> {
            var error = "An error occurred on the server while streaming results. HubException: no more";
            var drained = t.drain(t.connect(), "CountThenFail", 3, "no more");
            t.equal(drained, new Run.Drained(numbers(3), Optional.of(error)), "stream");
        }).needs("stream-errors"));
        all.add(Scenario.of("stream-cancel", Streams::cancel));
        all.add(upload("upload", 1, 2, 3, 36));
        all.add(upload("upload-empty"));
        all.add(upload("upload-500", numbers(500).toArray(Integer[]::new)));
        all.add(Scenario.of("upload-with-argument", t -> {
            var items = Observable.just("a", "ü", "😀");
            t.equal(t.await(t.connect().invoke(String.class, "Label", "list", items)), "list:a,ü,😀", "label");
        }));
        all.add(Scenario.of("upload-fails", t -> {
            var hub = t.connect();
            var items = Observable.concat(Observable.just(1, 2), Observable.error(new IllegalStateException("disk on fire")));
            // The client sends the exception with its class.
            var text = "An unexpected error occurred invoking 'Sum' on the server. "
                    + "HubException: java.lang.IllegalStateException: disk on fire";
            t.equal(t.rejects(() -> t.call(hub, "Sum", items)), text, "error text");
            t.alive(hub);
        }).needs("upload-errors"));
        all.add(Scenario.of("upload-without-answer", t -> {
            var hub = t.connect();
            var calls = t.calls(hub, "Summed");
            hub.send("SumToCaller", "Summed", Observable.just(40, 2));
            t.until(() -> calls.size() == 1, "the call");
            t.equal(calls, List.of(json("42")), "calls");
        }));
        all.add(Scenario.of("both-ways", t -> {
            var items = Observable.just(1, 2, 3);
            t.equal(t.drain(t.connect(), "Double", items), new Run.Drained(List.of(2, 4, 6), Optional.empty()), "stream");
        }));
        return all;
    }

    private static List<Integer> numbers(int count) {
        return IntStream.range(0, count).boxed().toList();
    }

    private static Run.Drained whole(int count) {
        return new Run.Drained(numbers(count), Optional.empty());
    }

    private static Scenario counted(String name, int count) {
        return Scenario.of(name, t -> t.equal(t.drain(t.connect(), "Count", count, 0), whole(count), "stream"));
    }

    private static Scenario upload(String name, Integer... items) {
        return Scenario.of(name, t -> {
            var hub = t.connect();
            var subject = ReplaySubject.<Integer>create();
            var sum = hub.invoke(Integer.class, "Sum", subject);
            List.of(items).forEach(subject::onNext);
            subject.onComplete();
            t.equal(t.await(sum), List.of(items).stream().mapToInt(item -> item).sum(), "sum");
        });
    }

    private static boolean wasCancelled(Run t, HubConnection hub) {
        return t.await(hub.invoke(Boolean.class, "WasCancelled", t.tag));
    }

    private static void cancel(Run t) throws Exception {
        var hub = t.connect();
        var items = new AtomicInteger();
        var subscription = hub.stream(Integer.class, "Forever", t.tag, 10).subscribe(item -> items.incrementAndGet());
        t.until(() -> items.get() >= 3, "three items");
        t.ok(!wasCancelled(t, hub), "cancelled before the cancel");
        subscription.dispose();
        t.until(() -> wasCancelled(t, hub), "the server sees the cancel");
        var after = items.get();
        t.alive(hub);
        t.equal(items.get(), after, "items after the cancel");
    }
}
