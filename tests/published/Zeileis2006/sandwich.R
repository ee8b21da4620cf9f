# Rscript tests/published/Zeileis2006/sandwich.R > tests/published/Zeileis2006/values.toml
library(sandwich)

d <- read.csv("data/canada_migration.csv")
fit <- glm(migrants ~ log(distance) + factor(source) + factor(destination), poisson, d,
           control = glm.control(epsilon = 1e-14, maxit = 100))
k <- "log(distance)"
se <- function(v) sprintf("%.12g", sqrt(v[k, k]))
list_of <- function(x) paste0("[", paste(sprintf("%.12g", x), collapse = ", "), "]")

cat("[canada]\n")
cat("coefficient =", sprintf("%.12g", coef(fit)[k]), "\n")
cat("hessian =", se(vcov(fit)), "\n")
for (type in c("HC0", "HC1", "HC2", "HC3")) cat(type, "=", se(vcovHC(fit, type = type)), "\n")
cl <- function(f, ...) se(vcovCL(fit, cluster = f, type = "HC0", cadjust = FALSE, ...))
cat("source =", cl(~source), "\n")
cat("source_destination =", cl(~source + destination), "\n")
without <- sapply(unique(d$source), function(g) coef(update(fit, data = d[d$source != g, ]))[k])
G <- length(without)
jack <- sqrt((G - 1) / G * sum((without - coef(fit)[k])^2))
cat("jackknife_source =", sprintf("%.12g", jack), "\n")
cat("leverages =", list_of(hatvalues(fit)[1:8]), "\n")

for (name in c("hessian", "HC3", "source")) {
  v <- switch(name, hessian = vcov(fit), HC3 = vcovHC(fit, type = "HC3"),
              source = vcovCL(fit, cluster = ~source, type = "HC0", cadjust = FALSE))
  Z <- model.matrix(fit)[1:8, ]
  cat(paste0("eta_std_err_", name), "=", list_of(sqrt(diag(Z %*% v %*% t(Z)))), "\n")
}
