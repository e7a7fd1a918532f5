export { bucket, type Bucket } from './bucket.ts';
export { writeBolt } from './write-bolt.ts';
