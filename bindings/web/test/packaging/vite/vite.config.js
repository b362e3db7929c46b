// The pages of the tests are not at the top of their site.
export default { base: "./" };
