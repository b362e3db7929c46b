package dev.hubwire.interop;

import java.util.List;

/** What is tried, under the name that the TypeScript suite has for it, and what a peer must be able to do for it. */
record Scenario(String name, List<String> needs, Body body) {
    interface Body {
        void run(Run t) throws Exception;
    }

    static Scenario of(String name, Body body) {
        return new Scenario(name, List.of(), body);
    }

    Scenario needs(String... more) {
        return new Scenario(name, List.of(more), body);
    }
}
