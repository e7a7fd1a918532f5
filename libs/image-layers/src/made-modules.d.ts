/** The program of a worker thread as text: tools/setup/made-modules.mjs bundles it, for esbuild and for vitest. */
declare module '*.ts?thread' {
  const source: string;
  export default source;
}
