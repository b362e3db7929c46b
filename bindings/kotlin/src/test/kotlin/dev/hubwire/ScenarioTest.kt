package dev.hubwire

import java.util.stream.Stream
import kotlin.time.Duration.Companion.seconds
import kotlinx.coroutines.runBlocking
import kotlinx.coroutines.withTimeout
import org.junit.jupiter.api.AfterAll
import org.junit.jupiter.api.DynamicTest
import org.junit.jupiter.api.TestFactory

/**
 * Runs all scenarios, and prints one line for each. `-Dhubwire.only=part` runs those whose ids contain that, and does
 * not look for missing ones.
 */
class ScenarioTest {
    @TestFactory
    fun scenarios(): Stream<DynamicTest> {
        val only = System.getProperty("hubwire.only").orEmpty()
        val all = Scenarios().apply {
            calls()
            streams()
            handlers()
            reconnects()
            outboxes()
            deliveries()
            volumes()
            misuses()
            lifetimes()
            hubs()
            vectors()
            readme()
            examples()
        }.list
        // Maven leaves its line open.
        println()
        val list = all.filter { only in it.id }
        val tests = list.map { DynamicTest.dynamicTest(it.id) { run(it) } }
        if (only.isNotEmpty()) {
            return tests.stream()
        }
        return (tests + DynamicTest.dynamicTest("the list of scenarios") { compare(all.map { it.id }) }).stream()
    }

    private fun run(scenario: Scenario) {
        val result = runCatching {
            runBlocking {
                val scene = Scene(stage, this)
                try {
                    withTimeout(120.seconds) { scenario.run(scene) }
                } finally {
                    scene.end()
                }
            }
        }
        val error = result.exceptionOrNull()
        if (error == null) {
            passed++
            println("ok ${scenario.id}")
        } else {
            failed++
            println("FAIL ${scenario.id}: ${error.toString().lineSequence().first()}")
            throw error
        }
    }

    private fun compare(ids: List<String>) {
        val expected = Scenarios.expected()
        val problems = expected.filter { it !in ids }.map { "$it: there is no test for it" } +
            ids.filter { it !in expected && !it.startsWith("own.") }.map { "$it: it is not in the list" } +
            ids.groupBy { it }.filter { it.value.size > 1 }.map { "${it.key}: it is there twice" }
        failed += problems.size
        problems.forEach { println("FAIL $it") }
        check(problems.isEmpty()) { problems.joinToString() }
    }

    companion object {
        private val stage = Stage()
        private var passed = 0
        private var failed = 0

        @JvmStatic
        @AfterAll
        fun end() {
            stage.end()
            println("$passed passed, $failed failed")
        }
    }
}
