/**
 * For tests whose outcome is a measured time, which somebody else's load on the machine can spoil: under CI they get a second try, and whoever
 * needed it is named at the end of the run (second-tries.ts). Where threads race, servers are killed
 * or random commands are compared nothing is tried twice: a failure now and then is a fault there, and a second try would hide it. Files
 * that watch processes of the original may be run again alone, which `.ci/run` then says (.ci/failed-files.mjs).
 */
export const TIMED = { retry: process.env['CI'] ? 1 : 0 } as const;
