/**
 * Files of `templates/` and `recipes/` by their path from the root of the repository. The build of `dist/boxship.mjs` puts
 * the real ones here, so that the one file needs nothing beside it; from sources they are read from disk.
 */
export const embeddedFiles: Readonly<Record<string, string>> | undefined = undefined;
