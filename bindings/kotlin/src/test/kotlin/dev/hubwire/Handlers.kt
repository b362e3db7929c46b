package dev.hubwire

internal fun Scenarios.handlers() {
}
