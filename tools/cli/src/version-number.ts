declare const BOXSHIP_VERSION: string | undefined;

/** Version of Boxship; the build of dist/boxship.mjs puts it in. */
export const version = typeof BOXSHIP_VERSION === 'string' ? BOXSHIP_VERSION : '0.0.0-source';
