/**
 * Names of files in a configuration are bytes, one a character (latin1), as everything that clients send; Node's are text. On Linux a
 * name is UTF-8, whichever way round.
 */

/** A name as a configuration has it. */
export const bytesOfName = (name: string): string => Buffer.from(name, 'utf8').toString('latin1');

/** A name as Node takes it. */
export const nativeName = (bytes: string): string => Buffer.from(bytes, 'latin1').toString('utf8');
