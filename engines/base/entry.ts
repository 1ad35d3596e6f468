/**
 * Where the compiled form of a module lies. Worker threads and child processes always run compiled JavaScript, also when
 * their parent runs from the TypeScript sources (as tests do).
 */

/**
 * @param fromUrl `import.meta.url` of the calling module
 * @param relative path of the TypeScript module to start, relative to the caller, e.g. "./worker.ts"
 * @returns the file URL of the JavaScript to run: beside the caller when that is compiled, else below dist/
 * @throws Error when the caller lies in none of the project's top folders
 */
export function entryUrl(fromUrl: string, relative: string): URL {
  const target = new URL(relative.replace(/\.ts$/, '.js'), fromUrl);
  if (!fromUrl.endsWith('.ts')) return target;
  const match = /^(.*)\/(engines|harness|reports|scenarios|test)\/(.*)$/.exec(target.href);
  if (!match) throw new Error(`Cannot resolve ${relative}: ${fromUrl} lies outside the project's folders`);
  return new URL(`${match[1]}/dist/${match[2]}/${match[3]}`);
}
