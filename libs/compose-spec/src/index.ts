export { openAppFolder, type AppFolder, type FolderEntry } from './app-folder.ts';
export { readComposeFile, type ComposeFileInput } from './compose-file.ts';
export { type SecretSource } from './config-files.ts';
export { findClashes } from './dependencies.ts';
export { refusedServiceKeys, serviceKeys } from './service.ts';
