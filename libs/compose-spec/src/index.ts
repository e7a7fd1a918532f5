export { openAppFolder, type AppFolder, type FolderEntry } from './app-folder.ts';
export { readComposeFile, type ComposeFileInput } from './compose-file.ts';
