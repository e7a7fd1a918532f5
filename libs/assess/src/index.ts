export { assessProduct, type AssessOptions } from './assess-product.ts';
export type { Assessment, Check, MissingKernelOption, Standing, Target, Verdict } from './assessment.ts';
