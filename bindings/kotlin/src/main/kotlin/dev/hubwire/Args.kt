package dev.hubwire

import dev.hubwire.internal.Argument

@PublishedApi
internal inline fun <reified A> argument(value: A): Argument = Argument(serializerOf<A>(), value)

/** No arguments. */
public fun args(): HubArguments = HubArguments(emptyList())

/** The argument, for calls that take options or whose result has no type to be known by. */
public inline fun <reified A1> args(a1: A1): HubArguments =
    HubArguments(listOf(argument(a1)))

/** 2 arguments. */
public inline fun <reified A1, reified A2> args(a1: A1, a2: A2): HubArguments =
    HubArguments(listOf(argument(a1), argument(a2)))

/** 3 arguments. */
public inline fun <reified A1, reified A2, reified A3> args(a1: A1, a2: A2, a3: A3): HubArguments =
    HubArguments(listOf(argument(a1), argument(a2), argument(a3)))

/** 4 arguments. */
public inline fun <reified A1, reified A2, reified A3, reified A4> args(
    a1: A1,
    a2: A2,
    a3: A3,
    a4: A4,
): HubArguments =
    HubArguments(listOf(argument(a1), argument(a2), argument(a3), argument(a4)))

/** 5 arguments. */
public inline fun <reified A1, reified A2, reified A3, reified A4, reified A5> args(
    a1: A1,
    a2: A2,
    a3: A3,
    a4: A4,
    a5: A5,
): HubArguments =
    HubArguments(listOf(argument(a1), argument(a2), argument(a3), argument(a4), argument(a5)))

/** 6 arguments. */
public inline fun <reified A1, reified A2, reified A3, reified A4, reified A5, reified A6> args(
    a1: A1,
    a2: A2,
    a3: A3,
    a4: A4,
    a5: A5,
    a6: A6,
): HubArguments =
    HubArguments(listOf(argument(a1), argument(a2), argument(a3), argument(a4), argument(a5), argument(a6)))

/** 7 arguments. */
public inline fun <reified A1, reified A2, reified A3, reified A4, reified A5, reified A6, reified A7> args(
    a1: A1,
    a2: A2,
    a3: A3,
    a4: A4,
    a5: A5,
    a6: A6,
    a7: A7,
): HubArguments =
    HubArguments(
        listOf(
            argument(a1),
            argument(a2),
            argument(a3),
            argument(a4),
            argument(a5),
            argument(a6),
            argument(a7),
        ),
    )

/** 8 arguments. */
public inline fun <
    reified A1,
    reified A2,
    reified A3,
    reified A4,
    reified A5,
    reified A6,
    reified A7,
    reified A8,
> args(
    a1: A1,
    a2: A2,
    a3: A3,
    a4: A4,
    a5: A5,
    a6: A6,
    a7: A7,
    a8: A8,
): HubArguments =
    HubArguments(
        listOf(
            argument(a1),
            argument(a2),
            argument(a3),
            argument(a4),
            argument(a5),
            argument(a6),
            argument(a7),
            argument(a8),
        ),
    )
