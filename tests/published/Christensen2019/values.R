# Run with: Rscript values.R   (R 4.2.2, ordinal 2022.11-16, sandwich 3.0-2)
suppressMessages({library(ordinal); library(sandwich)})
options(digits = 13)
data <- read.csv("ologit_ucla.csv")
levels <- c("unlikely", "somewhat likely", "very likely")
data$apply <- factor(data$apply, levels = levels, ordered = TRUE)
data$w <- rep(c(1, 2, 3, 0.5), 100)
four <- (seq_len(nrow(data)) - 1) %/% 4
exact <- clm.control(gradTol = 1e-12)
show <- function(fit) {
  print(as.numeric(logLik(fit)))
  print(rbind(coef(fit), hessian = sqrt(diag(vcov(fit))), robust = sqrt(diag(sandwich(fit))),
              cluster = sqrt(diag(vcovCL(fit, cluster = four, cadjust = FALSE, type = "HC0")))))
}
for (link in c("logit", "probit"))
  show(clm(apply ~ pared + public + gpa, data = data, link = link, control = exact))
weighted <- clm(apply ~ pared + public + gpa, data = data, weights = w, control = exact)
print(as.numeric(logLik(weighted)))
print(rbind(coef(weighted), hessian = sqrt(diag(vcov(weighted)))))
new <- data.frame(pared = 1, public = 0, gpa = 3.5)
for (link in c("logit", "probit"))
  print(predict(clm(apply ~ pared + public + gpa, data = data, link = link, control = exact),
                newdata = new)$fit)
