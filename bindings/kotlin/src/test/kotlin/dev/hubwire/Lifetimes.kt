package dev.hubwire

internal fun Scenarios.lifetimes() {
}
