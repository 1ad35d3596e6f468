/**
 * For tests whose outcome is a measured time, which somebody else's load on the machine can spoil: under CI they get a second try, and whoever
 * needed it is named at the end of the run (second-tries.ts). Nothing else is tried twice: where threads race, servers are killed or
 * replies are compared, a failure now and then is a fault, and a second try would hide it.
 */
export const TIMED = { retry: process.env['CI'] ? 1 : 0 } as const;
