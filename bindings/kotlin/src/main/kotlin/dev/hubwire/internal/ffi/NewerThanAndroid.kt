package dev.hubwire.internal.ffi

/**
 * Marks what uses more of Java than the oldest Android has, and is left out of the check for that. The build puts it on
 * two generated classes, which use `java.lang.ref.Cleaner`: the generated code looks for that by its name before it
 * makes one of them, and takes JNA's cleaner where it is not there.
 */
@Target(AnnotationTarget.CLASS)
@Retention(AnnotationRetention.BINARY)
internal annotation class NewerThanAndroid
