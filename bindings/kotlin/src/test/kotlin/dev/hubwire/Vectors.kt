package dev.hubwire

internal fun Scenarios.vectors() {
}
